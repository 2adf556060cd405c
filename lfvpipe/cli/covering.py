"""Globs that tell some images of an archive from its others."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from lfvpipe.dataset.globs import matcher

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence


@dataclass(frozen=True)
class Cover:
    """What `include` and `exclude` have to be."""

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()


EVERYTHING = Cover()


def cover(wanted: Collection[str], names: Collection[str], globs: Sequence[str] = ()) -> Cover:
    """Return the shortest globs that we know of that match `wanted` among `names`.

    Args:
        wanted: Names of images in an archive.
        names: The names of all images in it.
        globs: Some that may tell images in one folder apart.
    """
    chosen, rest = set(wanted), set(names) - set(wanted)
    if not rest:
        return EVERYTHING
    by_folder = Cover(tuple(_globs("", chosen, rest, globs)))
    by_exception = Cover((), tuple(_globs("", rest, chosen, globs)))
    # An exception may be far shorter: one folder of masks among many of images.
    first, second = by_folder, by_exception
    if len(second.exclude) * 3 < len(first.include):
        first, second = second, first
    by_name = Cover(tuple(f"{escaped(name)}" for name in sorted(chosen)))
    for each in (first, second, by_name):
        if _matches(each, chosen, rest):
            return each
    return by_name  # names that differ in capitals or brackets alone


def _matches(found: Cover, wanted: Collection[str], rest: Collection[str]) -> bool:
    is_in, is_out = matcher(found.include), matcher(found.exclude)
    taken = {n for n in (*wanted, *rest) if is_in(n) and not (found.exclude and is_out(n))}
    return taken == set(wanted)


def escaped(name: str) -> str:
    """Return a name as a glob that matches it."""
    return re.sub(r"[\[\]*?]", "?", name)


def _globs(
    folder: str, wanted: Collection[str], rest: Collection[str], globs: Sequence[str]
) -> Iterator[str]:
    """Yield globs for what is wanted below a folder, whole folders where that can be."""
    wanted = [name for name in wanted if name.startswith(folder)]
    rest = [name for name in rest if name.startswith(folder)]
    if not wanted:
        return
    if not rest:
        yield f"{escaped(folder)}**"
        return
    below = sorted(
        {name[len(folder) :].split("/")[0] for name in wanted if _is_below(name, folder)}
    )
    for name in below:
        yield from _globs(f"{folder}{name}/", wanted, rest, globs)
    direct = {name for name in wanted if not _is_below(name, folder)}
    if not direct:
        return
    others = {name for name in rest if not _is_below(name, folder)}
    if not others and folder:
        yield f"{escaped(folder)}*"
        return
    for glob in dict.fromkeys(globs):
        matches = matcher([glob])
        told = {name for name in direct if matches(name)}
        if told and not any(map(matches, rest)):
            yield glob
            direct -= told
    yield from map(escaped, sorted(direct, key=PurePosixPath))


def _is_below(name: str, folder: str) -> bool:
    return "/" in name[len(folder) :]
