"""The peers' environments: one virtual environment each, made once and kept."""

import hashlib
import subprocess
import sys
import venv
from pathlib import Path

REQUIREMENTS = Path(__file__).parent / "peers"
KEPT = Path.home() / ".cache" / "lfvpipe-benchmark"
STAMP = "made-from"


class Unavailable(Exception):
    """An environment that cannot be made."""


def python(name: str, folder: Path) -> Path:
    """Return the interpreter of environment `name` under `folder`; make it if need be.

    It is made again when its requirements change, or when the last attempt was interrupted.

    Raises:
        Unavailable: Its requirements cannot be installed.
    """
    required = REQUIREMENTS / f"{name}.txt"
    digest = hashlib.sha256(required.read_bytes()).hexdigest()
    place = folder / name
    interpreter = place / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    stamp = place / STAMP
    if not stamp.exists() or stamp.read_text() != digest:
        print(f"making the environment {place}", file=sys.stderr, flush=True)
        venv.create(place, clear=True, with_pip=True)
        _install(interpreter, required)
        stamp.write_text(digest)
    return interpreter


def _install(interpreter: Path, required: Path) -> None:
    command = [str(interpreter), "-m", "pip", "install", "--quiet", "-r", str(required)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        rows = [row for row in done.stderr.splitlines() if row.startswith("ERROR")]
        raise Unavailable(f"{required.name} cannot be installed: {(rows or ['?'])[-1]}")
