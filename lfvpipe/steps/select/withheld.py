"""Which images `evaluate.images` names: members of the sources first, then files."""

from __future__ import annotations

from collections import defaultdict
from difflib import get_close_matches
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from lfvpipe.dataset.globs import compiled_glob, has_wildcard
from lfvpipe.dataset.local_files import file_stamp, matching_files, shown_name
from lfvpipe.steps.select.catalogue import Candidate, SelectionError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from lfvpipe.config.spec import Pipeline

FILES = "files"


def withheld(
    pipeline: Pipeline, candidates: Sequence[Candidate], stems: Mapping[str, str]
) -> list[Candidate]:
    """Return the images that the patterns of `evaluate.images` name, each once.

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
        matches = names.matching(pattern) or _files(pattern, pipeline.folder)
        if not matches:
            raise _unknown(pattern, candidates)
        found.update((match.id, match) for match in matches)
    return list(found.values())


class _Names:
    """All the ways to name each member."""

    def __init__(self, candidates: Sequence[Candidate], stems: Mapping[str, str]) -> None:
        self._stems = stems
        self._all = candidates
        self._by_base: dict[str, list[Candidate]] = defaultdict(list)
        for candidate in candidates:
            self._by_base[PurePosixPath(candidate.name).name].append(candidate)

    def matching(self, pattern: str) -> list[Candidate]:
        pattern = pattern.removeprefix("./")
        same_base = self._by_base.get(PurePosixPath(pattern).name, [])
        close = [one for one in same_base if pattern in self._spelled(one)]
        if has_wildcard(pattern) and not close:
            regex = compiled_glob(pattern)
            return [one for one in self._all if any(map(regex.fullmatch, self._spelled(one)))]
        close = close or [one for one in same_base if one.name.endswith(f"/{pattern}")]
        if len(close) > 1:
            raise _ambiguous(pattern, close)
        return close

    def _spelled(self, candidate: Candidate) -> tuple[str, ...]:
        stem = self._stems.get(candidate.source, "")
        return candidate.name, candidate.id, f"{stem}/{candidate.name}"


def _files(pattern: str, folder: Path) -> list[Candidate]:
    return [_file(path, folder) for path in matching_files(pattern, folder)]


def _file(path: Path, folder: Path) -> Candidate:
    name = shown_name(path, folder)
    return Candidate(None, name, FILES, name, *file_stamp(path))


def _ambiguous(pattern: str, matches: Sequence[Candidate]) -> SelectionError:
    ids = ", ".join(match.id for match in matches[:5])
    return SelectionError(
        f"evaluate.images: {pattern} stands for {len(matches)} images: {ids}.",
        hint=f"Name one with its folder or label, such as {matches[0].id}.",
    )


def _unknown(pattern: str, candidates: Sequence[Candidate]) -> SelectionError:
    base = PurePosixPath(pattern).name
    near = [one.name for one in candidates if PurePosixPath(one.name).name == base]
    pool = near or [one.name for one in candidates[:5_000]]
    close = get_close_matches(pattern, pool, n=3, cutoff=0.5) or near[:3] or pool[:1]
    kind = "matches no image" if has_wildcard(pattern) else "is neither in the sources nor a file"
    hint = f"Did you mean {' or '.join(close)}?" if close else ""
    return SelectionError(f"evaluate.images: {pattern} {kind}.", hint=hint)
