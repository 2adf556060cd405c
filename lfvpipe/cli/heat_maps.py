"""`lfvpipe detect --heat-maps`: where the pictures go, and whose model draws them."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lfvpipe import archives, report, service
from lfvpipe.cli.usage import UsageError
from lfvpipe.cli.written_places import make_writable
from lfvpipe.errors import UserError
from lfvpipe.visible import visible_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

    from lfvpipe.cli.asked import Photograph
    from lfvpipe.steps.context import Context
    from lfvpipe.steps.hosting import Hosting

_BY_FILE = "Use the model file instead: lfvpipe detect --model FILE …"


@dataclass(frozen=True)
class HeatMaps:
    """The folder of the pictures; each is named after its image below `base`.

    Attributes:
        folder: As the user named it.
        base: Absolute; it holds every image, so that no two names are the same.
    """

    folder: Path
    base: Path

    def draw(
        self, photograph: Photograph, picture: Image | bytes, heat: NDArray[np.float32] | None
    ) -> str | None:
        """Write a picture under its heat map, and return its path.

        A picture that cannot be written costs no verdict: the user is warned.

        Args:
            photograph: What was judged.
            picture: What the model has looked at: pixels, or the bytes made from that file.
            heat: (h, w), 0 to 1; None where the model has none.
        """
        if heat is None:
            return None
        image = Path(photograph.name)
        below = _absolute(image).relative_to(self.base)
        file = self.folder / below.with_name(archives.heat_map_name(below.name))
        try:
            report.heat_pictures.write(file, picture, heat)
        except OSError as error:
            why = f"no heat map of {image}: {_unwritable(file, error)}"
            print(f"warning: {visible_name(why)}", file=sys.stderr)
            return None
        return str(file)

    def tell(self, count: int) -> None:
        """Tell the user how many pictures were written, and where."""
        print(f"{count} heat map{'' if count == 1 else 's'} in {self.folder}", file=sys.stderr)

    def make_folder(self) -> None:
        """Make the folder; raise a UserError unless files can be written there."""
        make_writable(self.folder, "--heat-maps")


def require_embedded(context: Context) -> None:
    """Raise a UsageError unless the pipeline's service keeps its models on this machine."""
    endpoint = context.pipeline.service.endpoint
    if endpoint != "embedded":
        said = (
            f"There are no heat maps: the service at {endpoint} tells verdicts, not where it"
            " looked."
        )
        raise UsageError(said, hint=_BY_FILE)


def model_file(context: Context, model: Hosting) -> Path:
    """Return the trained model's file; raise a UserError if it is not on this machine.

    The embedded service tells verdicts alone, as AWS does; where the model looked, its file
    tells.
    """
    file = service.embedded.model_file(
        context.service_dir, context.pipeline.region, model.project, model.version
    )
    if file is None:
        named = f"version {model.version} of {model.project}"
        said = (
            f"There are no heat maps: the model file of {named} is not on this machine, and the"
            " service tells verdicts, not where it looked."
        )
        raise UserError(said, hint=_BY_FILE)
    return file


def outside(folder: Path, images: Iterable[Path], targets: Iterable[str]) -> list[Path]:
    """Return the images that do not lie in `folder`: what does was drawn by an earlier call.

    Raises:
        UsageError: A target itself lies there, so that pictures could take the place of images.
    """
    place = folder.resolve()
    for target in targets:
        if Path(target).exists() and Path(target).resolve().is_relative_to(place):
            raise UsageError(
                f"{target} lies in {folder}, where the heat maps would go.",
                hint="Name another folder: `--heat-maps FOLDER`.",
            )
    return [image for image in images if not image.resolve().is_relative_to(place)]


def destination(folder: Path, images: Sequence[Path]) -> HeatMaps:
    """Return where the pictures of `images` go.

    They are named from the working folder, or, if an image lies elsewhere, from the folder that
    holds them all.

    Raises:
        UsageError: The images lie on several drives.
    """
    folders = {_absolute(image).parent for image in images}
    if all(each.is_relative_to(Path.cwd()) for each in folders):
        return HeatMaps(folder, Path.cwd())
    try:
        return HeatMaps(folder, Path(os.path.commonpath(folders)))
    except ValueError:  # Windows
        said = "There are no heat maps: the images lie on several drives."
        raise UsageError(said, hint="Ask for those of one drive at a time.") from None


def _absolute(path: Path) -> Path:
    """Return `path` without ``..``, links as they are named."""
    return Path(os.path.abspath(path))  # noqa: PTH100  (resolve would follow links)


def _unwritable(path: Path, error: OSError) -> str:
    """Return what happened, without a full stop."""
    return f"{path} cannot be written: {error.strerror or error}"
