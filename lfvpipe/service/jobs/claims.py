"""Who works on what: OS locks, which die with their process."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout


class Claims:
    """Named locks in `folder`, between threads as well as between processes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @contextmanager
    def held(self, name: str, *, seconds: float = 0.0) -> Iterator[bool]:
        """Yield whether the claim `name` is ours for the block, after at most `seconds`."""
        lock = FileLock(self._folder / f"{name}.lock", thread_local=False)
        try:
            lock.acquire(timeout=seconds, poll_interval=0.01)
        except Timeout:
            yield False
            return
        try:
            yield True
        finally:
            lock.release()

    def is_free(self, name: str) -> bool:
        """Say whether nobody works on `name`."""
        with self.held(name) as ours:
            return ours
