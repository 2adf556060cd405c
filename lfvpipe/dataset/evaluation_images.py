"""Which images `evaluate.images` names: members of the sources first, then files."""

from __future__ import annotations

from collections import defaultdict
from difflib import get_close_matches
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from lfvpipe.dataset.candidates import Candidate, SelectionError
from lfvpipe.dataset.globs import glob_pattern, has_wildcard
from lfvpipe.dataset.local_files import display_name, file_stamp, matching_files
from lfvpipe.dataset.selection import FILES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lfvpipe.config.spec import Pipeline


def evaluation_images(
    pipeline: Pipeline, candidates: Sequence[Candidate], stems: Mapping[str, str]
) -> dict[str, Candidate]:
    """Return the images that the patterns of `evaluate.images` name, by id.

    Args:
        pipeline: Gives the patterns, and the folder that files are relative to.
        candidates: The members of all sources.
        stems: The archive's name without its suffix, by source: ``Class3/100.png`` then also
            finds ``100.png`` in the folder ``Class3``.

    Raises:
        SelectionError: A pattern names nothing, or one name stands for several images.
    """
    names = _Names(candidates, stems)
    found: dict[str, Candidate] = {}
    for pattern in pipeline.evaluate.images:
        matches = names.matches(pattern)
        if not matches:
            for path in matching_files(pattern, pipeline.folder):
                name = display_name(path, pipeline.folder)
                matches.append(Candidate(None, name, FILES, name, *file_stamp(path)))
        if not matches:
            raise _unknown(pattern, candidates)
        found.update((match.id, match) for match in matches)
    return found


class _Names:
    """All the ways to name each member."""

    def __init__(self, candidates: Sequence[Candidate], stems: Mapping[str, str]) -> None:
        self._stems = stems
        self._all = candidates
        self._by_base: dict[str, list[Candidate]] = defaultdict(list)
        for candidate in candidates:
            self._by_base[PurePosixPath(candidate.name).name].append(candidate)

    def matches(self, pattern: str) -> list[Candidate]:
        """Return the members that a name or glob stands for.

        A full name goes before a glob, as members may have brackets in their names, and both
        before a name whose folders were left out.
        """
        pattern = pattern.removeprefix("./")
        same_base = self._by_base.get(PurePosixPath(pattern).name, [])
        close = [one for one in same_base if pattern in self._spellings(one)]
        if has_wildcard(pattern) and not close:
            regex = glob_pattern(pattern)
            return [one for one in self._all if any(map(regex.fullmatch, self._spellings(one)))]
        close = close or [one for one in same_base if one.name.endswith(f"/{pattern}")]
        if len(close) > 1:
            ids = ", ".join(match.id for match in close[:5])
            raise SelectionError(
                f"evaluate.images: {pattern} stands for {len(close)} images: {ids}.",
                hint=f"Name one with its folder or label, such as {close[0].id}.",
            )
        return close

    def _spellings(self, candidate: Candidate) -> tuple[str, ...]:
        stem = self._stems.get(candidate.source, "")
        return candidate.name, candidate.id, f"{stem}/{candidate.name}"


def _unknown(pattern: str, candidates: Sequence[Candidate]) -> SelectionError:
    base = PurePosixPath(pattern).name
    near = [one.name for one in candidates if PurePosixPath(one.name).name == base]
    # Comparing with all names of a large set would take longer than the run that failed.
    pool = near or [one.name for one in candidates[:5_000]]
    close = get_close_matches(pattern, pool, n=3, cutoff=0.5) or near[:3] or pool[:1]
    kind = "matches no image" if has_wildcard(pattern) else "is neither in the sources nor a file"
    hint = f"Did you mean {' or '.join(close)}?" if close else ""
    return SelectionError(f"evaluate.images: {pattern} {kind}.", hint=hint)
