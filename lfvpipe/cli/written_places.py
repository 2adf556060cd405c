"""Where a user may have files written: nowhere that is somebody else's, told before any work."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING

from lfvpipe import atomic, disk
from lfvpipe.cli.usage import UsageError
from lfvpipe.dataset.sources import sources_of
from lfvpipe.service.jobs.packaging import component

if TYPE_CHECKING:
    from lfvpipe.cli.options import PipelineOptions
    from lfvpipe.config.spec import Pipeline


def insist_outside_state(place: Path, options: PipelineOptions) -> None:
    """Refuse to write for the user where `destroy` and `prune` remove.

    Raises:
        UsageError: The place is in the folder of state.
    """
    root = options.state_root.resolve()
    if place.resolve().is_relative_to(root):
        raise UsageError(
            f"{place} is in {root}, where `lfvpipe destroy` and `lfvpipe prune` remove.",
            hint="Name a place outside it.",
        )


def insist_outside_sources(place: Path, pipeline: Pipeline) -> None:
    """Refuse to write for the user among the images that the pipeline learns from.

    A source that holds the pipeline file as well is the user's whole project, of which `include`
    says what the images are.

    Raises:
        UsageError: The place is in the folder of a source.
    """
    for source in sources_of(pipeline):
        folder = Path(source.address)
        if source.is_remote or not folder.is_dir() or _holds(folder, pipeline.file):
            continue
        if _holds(folder, place):
            raise UsageError(
                f"{place} is in {folder}, which {pipeline.file.name} has for its images as"
                f" {source.key}.",
                hint="Name a place outside it.",
            )


def insist_outside_exports(place: Path) -> None:
    """Refuse to write for the user into what `export` made, which goes to the line as it is.

    Raises:
        UsageError: The place is in an export.
    """
    for folder in (place, *place.absolute().parents):
        if (folder / component.MODEL).is_file() and (folder / component.DECISION).is_file():
            raise UsageError(
                f"{place} is in an export, {folder}, which goes to the line as it is.",
                hint="Name a place outside it.",
            )


def make_writable(folder: Path, option: str) -> None:
    """Make a folder, and see that files can be written there.

    Args:
        folder: Absolute, or as the user named it.
        option: That named it.

    Raises:
        DiskError: It cannot be written for now, as the disk is full.
        UsageError: It never can.
    """
    hint = f"Name a folder that you may write: `{option} FOLDER`."
    for each in (folder, *folder.absolute().parents):
        if each.is_dir():
            break
        if each.exists() or each.is_symlink():
            what = "leads nowhere" if each.is_symlink() and not each.exists() else "is no folder"
            raise UsageError(f"{each} {what}, so nothing can be written there.", hint=hint)
    try:
        atomic.make_folder(folder)
        with TemporaryFile(dir=folder):
            pass
    except OSError as error:
        if disk.is_full(error) and (refused := disk.refusal(error, folder)):
            raise refused from error
        said = f"{folder} cannot be written: {error.strerror or error}."
        raise UsageError(said, hint=hint) from error


def _holds(folder: Path, path: Path) -> bool:
    return path.resolve().is_relative_to(folder.resolve())
