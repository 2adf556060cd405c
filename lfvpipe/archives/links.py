"""Links between members of an archive: those that stay inside stand for what they lead to."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Container, Mapping

_LONGEST_CHAIN = 8  # links that lead to links; a circle is longer


def resolve_links(links: Mapping[str, str], members: Container[str]) -> dict[str, str]:
    """Return the member that each link leads to; those that lead to none are left out.

    Nothing is followed on the disk: a link is only another name for a member.

    Args:
        links: The path that a link holds, by the link's own name.
        members: The names of the plain files.
    """
    found: dict[str, str] = {}
    for name in links:
        target = name
        for _ in range(_LONGEST_CHAIN):
            if target not in links:
                break
            held = links[target]
            joined = posixpath.normpath(posixpath.join(posixpath.dirname(target), held))
            target = "" if held.startswith("/") or not held else joined
        if target in members:
            found[name] = target
    return found
