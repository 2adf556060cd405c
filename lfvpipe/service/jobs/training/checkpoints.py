"""What a training's stages came to, as files in its scratch folder, until it is over.

They are not synced: a power cut may cost the last of them, which their digests tell. What cannot be
kept, for want of room or because the disk refuses, is worked out again should the worker be killed.
"""

import shutil
from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote

from lfvpipe import atomic

_SPARE = 512 * 1024 * 1024  # bytes of disk that bulky ones leave free
_LONGEST = 180  # characters of a file's name


class FileCheckpoints:
    """`lfvpipe.detector.Checkpoints` in a folder, each a file that begins with its digest.

    Args:
        folder: Made when something is kept.
        most: Bytes that they may have together before bulky ones are left out.
        on_progress: Called once a stage is kept that was not when this object was made.
    """

    def __init__(self, folder: Path, most: int, on_progress: Callable[[], object]) -> None:
        self._folder = folder
        self._most = most
        self._on_progress = on_progress
        self._sizes: dict[Path, int] = {}
        with suppress(OSError):
            self._sizes = {each: each.stat().st_size for each in folder.glob("*.kept")}

    def begin(self, made_of: str) -> None:
        """Forget what is kept of a training of anything else than this digest says."""
        if self.load("made of") != made_of.encode():
            shutil.rmtree(self._folder, ignore_errors=True)
            self._sizes = {}
            self._write(self._file("made of"), "made of", made_of.encode())

    def load(self, stage: str) -> bytes | None:
        """Return what a stage came to; one that is damaged is removed."""
        file = self._file(stage)
        try:
            kept = file.read_bytes()
        except OSError:
            return None
        data = kept[32:]
        if kept[:32] == _digest(stage, data):
            return data
        self._remove(file)
        return None

    def save(self, stage: str, data: Callable[[], bytes], *, bulky: bool = False) -> None:
        """Keep what a stage came to; a bulky one only where there is room."""
        if bulky and not self._has_room(0):
            return
        file, found = self._file(stage), data()
        if bulky and not self._has_room(len(found)):
            return
        if self._write(file, stage, found):
            self._on_progress()

    def discard(self, stage: str) -> None:
        """Forget what stages whose names begin so came to."""
        begin = quote(stage, safe="")
        for file in [each for each in self._sizes if each.name.startswith(begin)]:
            self._remove(file)

    def _has_room(self, size: int) -> bool:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            free = shutil.disk_usage(self._folder).free
        except OSError:
            return False
        return sum(self._sizes.values()) + size < self._most and free - size > _SPARE

    def _write(self, file: Path, stage: str, data: bytes) -> bool:
        try:
            with atomic.staging(file, synced=False) as staged:
                staged.file.write(_digest(stage, data))
                staged.file.write(data)
        except OSError:
            return False
        self._sizes[file] = len(data)
        return True

    def _remove(self, file: Path) -> None:
        with suppress(OSError):
            file.unlink(missing_ok=True)
        self._sizes.pop(file, None)

    def _file(self, stage: str) -> Path:
        name = quote(stage, safe="")
        if len(name) > _LONGEST:
            name = f"{name[:_LONGEST]}-{sha256(stage.encode()).hexdigest()[:16]}"
        return self._folder / f"{name}.kept"


def _digest(stage: str, data: bytes) -> bytes:
    digest = sha256(stage.encode() + b"\0")
    digest.update(data)
    return digest.digest()
