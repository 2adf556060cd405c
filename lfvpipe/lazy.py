"""One way to import lazily: a package's face imports what stands behind a name when it is used.

1. A module imports at its top whatever each of its callers needs, and never inside a function.
2. What only some of them come to need it reaches through the face of that package: it imports the
   package, which costs nothing (`from lfvpipe import archives`), and uses the name where it acts
   (`archives.open_archive(path)`); so the module behind a face imports numpy and the like at its
   own top, as any other.
3. A face says its names three times, for three readers: `__all__` for people, imports under
   `TYPE_CHECKING` for mypy and editors, and `__getattr__ = lazy.face(…)` (PEP 562) for Python;
   `tests/house/test_lazy.py` holds them to each other.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


def face(package: str, names: Mapping[str, Sequence[str]]) -> Callable[[str], Any]:
    """Return a `__getattr__` for a package.

    Nothing is kept: a test that replaces a function in its module replaces it here too.

    Args:
        package: The package's `__name__`.
        names: By module of the package, the names that the package shows of it. A module is
            itself a name of the package, and so it must not be called like any of the others.
    """
    homes = {name: module for module, shown in names.items() for name in shown}

    def __getattr__(name: str) -> Any:  # noqa: N807  (what it becomes in the package)
        if name in names:
            return import_module(f"{package}.{name}")
        if name in homes:
            return getattr(import_module(f"{package}.{homes[name]}"), name)
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    return __getattr__
