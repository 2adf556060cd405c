"""Decides which members of the archives are train, test, evaluation or unused images."""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from lfvpipe.config.spec import LABELS
from lfvpipe.engine.outcome import Outcome
from lfvpipe.engine.reasons import Reason
from lfvpipe.engine.step import Step
from lfvpipe.steps.catalogue import (
    Candidate,
    SelectionError,
    archive_candidates,
    archive_of,
    label_candidates,
)
from lfvpipe.steps.context import Context
from lfvpipe.steps.exported import exported_candidates
from lfvpipe.steps.index import Selected, Split, selected_line, write_lines
from lfvpipe.steps.sampling import divide, ranked, sample_size
from lfvpipe.steps.withheld import local_files, withheld

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from lfvpipe.config.spec import Label, Pipeline, Share
    from lfvpipe.engine.outcome import Facts, Json
    from lfvpipe.engine.step import Work

Counts = dict[str, dict[str, int]]


class Select(Step[Context]):
    """Reads the archives' directories, not their bytes, and writes the selection.

    Args:
        fetches: The names of the fetch steps.
    """

    name = "select"

    def __init__(self, fetches: Iterable[str]) -> None:
        self.needs = tuple(fetches)

    def inputs(self, context: Context) -> Facts:
        """See `Step.inputs`."""
        pipeline = context.pipeline
        found: dict[str, Json] = {}
        if pipeline.sources.manifest is None:
            found |= _source_inputs(pipeline)
            found |= _share_inputs("sample", pipeline.sample.shares)
            found |= _share_inputs("split.train", pipeline.split.train)
            found |= _share_inputs("split.test", pipeline.split.test or {})
            found["sample.seed"] = pipeline.sample.seed
            found["evaluate.unused.per_label"] = pipeline.evaluate.unused_per_label
        found["evaluate.images"] = list(pipeline.evaluate.images)
        for number, archive in enumerate(pipeline.evaluate.archives):
            found[f"evaluate.archives.{number}.include"] = list(archive.include)
            found[f"evaluate.archives.{number}.label"] = archive.label
        found |= {f"file {path}": stamp for path, stamp in local_files(pipeline)}
        return found

    def act(self, context: Context, work: Work) -> Outcome:
        """See `Step.act`; raises SelectionError and ArchiveError."""
        manifest = context.pipeline.sources.manifest
        if manifest is None:
            selected, counts = _from_archives(context, work)
        else:
            selected, counts = _from_manifests(context, work)
        selected += _evaluation_archives(context, work)
        selected.sort(key=lambda image: image.id)
        folder = context.state_dir / "selection"
        name, sha256 = write_lines(folder, map(selected_line, selected))
        facts: Facts = {"selection": f"selection/{name}", "digest": sha256, "counts": counts}
        return Outcome("created", facts, {"digest": sha256})

    def missing(self, context: Context, outcome: Outcome) -> Sequence[Reason]:
        """See `Step.missing`."""
        file = context.state_dir / str(outcome.facts["selection"])
        return () if file.is_file() else (Reason("output-missing", file.name),)


def _from_archives(context: Context, work: Work) -> tuple[list[Selected], Counts]:
    pipeline = context.pipeline
    by_label: dict[Label, list[Candidate]] = {}
    for label in LABELS:
        source = pipeline.sources.labels.get(label)
        if source is not None:
            by_label[label] = label_candidates(context, work, label, source)
            work.progress(len(by_label[label]), None, "images", label)
    stems: dict[str, str] = {
        label: _stem(source.archive) for label, source in pipeline.sources.labels.items()
    }
    members = [candidate for found in by_label.values() for candidate in found]
    held = withheld(pipeline, members, stems)
    selected = [_selected(candidate, "evaluate") for candidate in held]
    counts: Counts = {}
    held_ids = {candidate.id for candidate in held}
    for label, found in by_label.items():
        chosen, counts[label] = _sampled(pipeline, work, label, found, held_ids)
        selected += chosen
    return selected, counts


def _sampled(
    pipeline: Pipeline, work: Work, label: Label, found: Sequence[Candidate], held: set[str]
) -> tuple[list[Selected], dict[str, int]]:
    included = {one.name: one for one in found if one.included}
    free = [name for name, one in included.items() if one.id not in held]
    ranking = ranked(free, seed=pipeline.sample.seed, label=label)
    share = pipeline.sample.shares[label]
    if share.count is not None and share.count > len(free):
        work.warn(f"sample: {share.count} {label} images were asked for; there are {len(free)}.")
    size = sample_size(share, len(included), len(included) - len(free))
    test = pipeline.split.test
    division = divide(ranking, size, pipeline.split.train[label], test[label] if test else None)
    unused = division.unused[: pipeline.evaluate.unused_per_label]
    splits: dict[Split, tuple[str, ...]] = {
        "train": division.train,
        "test": division.test,
        "unused": unused,
    }
    chosen = [_selected(included[name], s) for s, names in splits.items() for name in names]
    counts: dict[str, int] = {split: len(names) for split, names in splits.items()}
    evaluated = sum(one.id in held for one in found)
    return chosen, counts | {"evaluate": evaluated, "available": len(included)}


def _from_manifests(context: Context, work: Work) -> tuple[list[Selected], Counts]:
    by_split = exported_candidates(context, work)
    everything = [candidate for found in by_split.values() for candidate in found]
    held = {candidate.id: candidate for candidate in withheld(context.pipeline, everything, {})}
    selected = [_selected(candidate, "evaluate") for candidate in held.values()]
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for split, found in by_split.items():
        for candidate in found:
            held_out = candidate.id in held
            counts[str(candidate.label)]["evaluate" if held_out else split] += 1
            counts[str(candidate.label)]["available"] += 1
            if not held_out:
                selected.append(_selected(candidate, split, prefix=f"{split}/"))
    if not counts:
        raise SelectionError(
            "sources.manifest: no line has a class-name of normal or anomaly.",
            hint="Label the images, or name the manifest that holds the labels.",
        )
    keys = ("train", "test", "evaluate", "unused", "available")
    return selected, {label: {key: had[key] for key in keys} for label, had in counts.items()}


def _evaluation_archives(context: Context, work: Work) -> list[Selected]:
    selected = []
    for number, archive in enumerate(context.pipeline.evaluate.archives):
        source = f"evaluate-{number}"
        path = archive_of(context, work.upstream, source)
        where = f"evaluate.archives.{number}"
        found = archive_candidates(path, source, where, archive.include, archive.label)
        selected += [_selected(one, "evaluate", prefix=f"{source}/") for one in found]
    return selected


def _selected(candidate: Candidate, split: Split, *, prefix: str = "") -> Selected:
    return Selected(
        id=f"{prefix}{candidate.id}",
        label=candidate.label,
        split=split,
        source=candidate.source,
        member=candidate.member,
        stamp=candidate.stamp,
        size=candidate.size,
        mask=candidate.mask,
    )


def _stem(archive: str) -> str:
    path = urlsplit(archive).path if "://" in archive else Path(archive).as_posix()
    return PurePosixPath(path.rstrip("/")).name.partition(".")[0]


def _source_inputs(pipeline: Pipeline) -> dict[str, Json]:
    found: dict[str, Json] = {}
    for label, source in pipeline.sources.labels.items():
        found[f"sources.{label}.include"] = list(source.include)
        found[f"sources.{label}.masks"] = source.masks is not None
        # An archive's name can be the first part of an evaluation image's.
        found[f"sources.{label}.archive"] = _stem(source.archive)
    return found


def _share_inputs(key: str, shares: Mapping[Label, Share]) -> dict[str, Json]:
    """Return the shares under the key a user would have written: one for both labels if equal."""
    if len(set(shares.values())) == 1:
        shares_by_key = {key: next(iter(shares.values()))}
    else:
        shares_by_key = {f"{key}.{label}": share for label, share in shares.items()}
    return {
        f"{name}.{unit}": value
        for name, share in shares_by_key.items()
        for unit, value in (("percent", share.percent), ("count", share.count))
        if value is not None
    }
