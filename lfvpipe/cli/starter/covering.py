"""Globs that tell some images of an archive from its others."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lfvpipe.dataset.globs import matcher

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping


@dataclass(frozen=True)
class Cover:
    """What `include` and `exclude` have to be."""

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()


EVERYTHING = Cover()


def cover(wanted: Mapping[str, str], others: Mapping[str, str]) -> Cover:
    """Return globs that match what is wanted, and nothing else that is there or may come.

    They are those by which the images are known to be what they are: what comes later under
    another name is not taken along. What these catch of the others is excluded by what tells it.

    Args:
        wanted: For the names of some images in an archive, the glob that tells each.
        others: For those of its other images, likewise.
    """
    include = _outermost(wanted.values())
    is_in = matcher(include)
    caught = {name: glob for name, glob in others.items() if is_in(name)}
    exclude = _outermost(caught.values())
    found = Cover(() if include == ("**",) else include, exclude)
    for each in (found, Cover(found.include, tuple(map(escaped, sorted(caught))))):
        is_in, is_out = matcher(each.include), matcher(each.exclude)
        taken = {n for n in (*wanted, *others) if is_in(n) and not (each.exclude and is_out(n))}
        if taken == set(wanted):
            return each
    return Cover(tuple(map(escaped, sorted(wanted))))  # told by names that are globs themselves


def _outermost(globs: Iterable[str]) -> tuple[str, ...]:
    """Return globs, each once and sorted, without those of folders in folders that are named."""
    different = sorted(set(globs))
    if "**" in different:
        return ("**",)
    whole = {glob.removesuffix("**") for glob in different if glob.endswith("/**")}
    return tuple(
        glob
        for glob in different
        if not any(
            glob[: at + 1] in whole and glob[at + 1 :] != "**"
            for at, sign in enumerate(glob)
            if sign == "/"
        )
    )


def escaped(name: str) -> str:
    """Return a name as a glob that matches it."""
    return re.sub(r"[\[\]*?]", "?", name)


def folders(wanted: Collection[str], names: Collection[str]) -> tuple[str, ...]:
    """Return globs over whole folders, as far up as can be, that tell `wanted` among `names`."""
    rest = set(names) - set(wanted)
    return tuple(_folders("", set(wanted), rest))


def _folders(folder: str, wanted: Collection[str], rest: Collection[str]) -> Iterator[str]:
    wanted = [name for name in wanted if name.startswith(folder)]
    rest = [name for name in rest if name.startswith(folder)]
    if not wanted:
        return
    if not rest:
        yield f"{escaped(folder)}**"
        return
    inside = {name for name in wanted if "/" in name[len(folder) :]}
    for name in sorted({name[len(folder) :].split("/")[0] for name in inside}):
        yield from _folders(f"{folder}{name}/", wanted, rest)
    direct = set(wanted) - inside
    if direct and all("/" in name[len(folder) :] for name in rest):
        yield f"{escaped(folder) or './'}*"
    else:
        yield from map(escaped, sorted(direct))
