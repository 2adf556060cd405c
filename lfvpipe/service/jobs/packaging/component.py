"""A component: a folder with a model and all that judges images with it, tried out and zipped.

It holds the detector's own code and the network it uses, so that on the device nothing of lfvpipe
is installed; only what `requirements.txt` in the folder lists is.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any
from zipfile import ZIP_STORED, ZipFile

from PIL import Image

import lfvpipe
from lfvpipe.decision import Decision
from lfvpipe.errors import UserError

_NEEDED = ("numpy", "onnxruntime", "pillow", "threadpoolctl")
# What `lfvpipe.detector` imports of ours; a component that lacks a file fails when it is tried out.
_CODE = (
    "__init__.py",
    "atomic.py",
    "decision.py",
    "errors.py",
    "executor.py",
    "lazy.py",
    "detector",
    "images",
)
MODEL = "model.lfv"
DECISION = "decision.json"
MADE = frozenset({MODEL, DECISION, "code", "network", "recipe.json", "requirements.txt", "run.py"})
"""What a component's folder holds; `network` once it was tried out."""
_SECONDS = 300  # a component that takes longer for one image is of no use


def assemble(folder: Path, model_file: Path, recipe: Mapping[str, Any], decision: Decision) -> Path:
    """Fill `folder` anew with the model, the code and the runner; return it.

    Args:
        folder: Emptied first.
        model_file: The model.
        recipe: What it is; the runner reads ``ImageWidth`` and ``ImageHeight`` of the training
            images.
        decision: What turns its scores into verdicts.

    Raises:
        UserError: The model's file is missing.
        OSError: A file cannot be read or written.
    """
    if not model_file.is_file():
        raise UserError(f"The model file {model_file} is gone; create the model again.")
    shutil.rmtree(folder, ignore_errors=True)
    package = Path(lfvpipe.__file__).parent
    code = folder / "code" / "lfvpipe"
    code.mkdir(parents=True)
    shutil.copyfile(model_file, folder / MODEL)
    for name in _CODE:
        source = package / name
        if source.is_dir():
            shutil.copytree(source, code / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(source, code / name)
    shutil.copyfile(Path(__file__).with_name("runner.py"), folder / "run.py")
    needed = "".join(f"{name}=={version(name)}\n" for name in _NEEDED)
    (folder / "requirements.txt").write_text(needed, "utf-8")
    (folder / "recipe.json").write_text(json.dumps(recipe, indent=2), "utf-8")
    (folder / DECISION).write_text(json.dumps(vars(decision)), "utf-8")
    return folder


def try_out(folder: Path, size: tuple[int, int]) -> None:
    """Judge an empty image of `size` with the component, which also leaves its network in there.

    Raises:
        UserError: It does not work.
    """
    image = folder / "try.png"
    Image.new("RGB", size).save(image)
    tried = subprocess.run(
        [sys.executable, "-B", str(folder / "run.py"), str(image)],
        capture_output=True,
        env={**os.environ, "PYTHONPATH": ""},
        cwd=folder,
        timeout=_SECONDS,
        check=False,
    )
    image.unlink()
    if tried.returncode:
        said = (tried.stderr or tried.stdout).decode(errors="replace").strip().splitlines()
        reason = said[-1].rstrip(".") if said else "no message"
        raise UserError(f"The component does not work: {reason}.")


def zip_folder(folder: Path, archive: Path) -> None:
    """Write `folder` into a zip; the model is compressed already, so nothing is compressed."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    with ZipFile(archive, "w", ZIP_STORED) as opened:
        for file in files:
            opened.write(file, file.relative_to(folder).as_posix())
