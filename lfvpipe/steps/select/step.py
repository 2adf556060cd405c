"""Decides which members of the archives are train, test, evaluation or unused images."""

from __future__ import annotations

import hashlib
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from lfvpipe.config.spec import (
    AnnotationSource,
    Images,
    LayoutSource,
    NamesIn,
    SplitGlobs,
    TableSource,
)
from lfvpipe.dataset.local_files import pattern_digests
from lfvpipe.dataset.sources import archive_stem, archives_of, listed_kind, masks_inside
from lfvpipe.engine.inputs import CodeVersion, InputFile, Setting, settings
from lfvpipe.engine.phrases import count, listing
from lfvpipe.engine.step import Step
from lfvpipe.steps.context import Context
from lfvpipe.steps.intact import has_digest, losses
from lfvpipe.steps.select.outcome import SelectOutcome
from lfvpipe.steps.state_files import remove_files

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from lfvpipe.config.spec import Label, ManifestSource, Pipeline, Share
    from lfvpipe.engine.inputs import Input
    from lfvpipe.engine.outcome import Json, Outcome
    from lfvpipe.engine.reasons import Reason
    from lfvpipe.engine.step import Work


class SelectStep(Step[Context]):
    """Reads the archives' directories, not their bytes, and writes the selection.

    Args:
        fetches: The names of the fetch steps.
    """

    name = "select"

    def __init__(self, fetches: Iterable[str]) -> None:
        self.needs = tuple(fetches)

    def inputs(self, context: Context) -> Sequence[Input]:
        """See `Step.inputs`."""
        pipeline = context.pipeline
        found: list[Input] = []
        if pipeline.sources.manifest is not None:
            found += _manifest_inputs(pipeline.sources.manifest)
            if pipeline.images.damaged != Images.damaged:  # of what a manifest names in vain, too
                found.append(Setting("images.damaged", pipeline.images.damaged))
        else:
            found += settings(_source_inputs(pipeline))
            found += _reader_versions(pipeline)
            found += _share_inputs("sample", "", pipeline.sample.shares)
            found += _share_inputs("split", ".train", pipeline.split.train)
            found += _share_inputs("split", ".test", pipeline.split.test or {})
            found += settings(_split_inputs(pipeline))
            if _may_lend(pipeline):
                # Since version 2, test gets an image where it was owed none of two or more.
                found.append(CodeVersion("test shares", 2, unrecorded=1))
            found.append(Setting("sample.seed", pipeline.sample.seed))
            unused = pipeline.evaluate.unused_per_label
            found.append(Setting("evaluate.unused.per_label", unused))
        found.append(Setting("evaluate.images", list(pipeline.evaluate.images)))
        if pipeline.evaluate.images and any(
            source.include for source in pipeline.sources.by_label.values()
        ):
            # 1, which ledgers of 0.1.0 do not name, took a label's archive for its label.
            found.append(CodeVersion("evaluation labels", 2, unrecorded=1))
        if any(glob.startswith("./") and "/" not in glob[2:] for glob in _globs(pipeline)):
            # 1, which ledgers of 0.1.0 do not name, had ./*.png match in folders, too.
            found.append(CodeVersion("globs from the top", 2, unrecorded=1))
        for number, archive in enumerate(pipeline.evaluate.archives):
            before = f"evaluate.archives.{number}"  # what ledgers have
            include = list(archive.include)
            found += settings(
                _said(
                    {
                        f"{archive.key}.exclude": list(archive.exclude),
                        f"{archive.key}.encoding": archive.encoding,
                    }
                )
            )
            found.append(Setting(f"{archive.key}.include", include, f"{before}.include"))
            found.append(Setting(f"{archive.key}.label", archive.label, f"{before}.label"))
        found += _local_files(context)
        if pipeline.sources.labels is not None:
            from lfvpipe.dataset.corrections import decision_inputs

            found += decision_inputs(pipeline)
        return found

    def act(self, context: Context, work: Work) -> Outcome:
        """See `Step.act`; raises SelectionError, LabelsError and ArchiveError."""
        from lfvpipe.steps.select.selection import select

        return select(context, work)

    def describe(self, outcome: Outcome) -> str:
        """Return how many images of both labels each split has."""
        facts = SelectOutcome.from_json(outcome.facts)
        by_label = facts.counts.values()
        judged = sum(each.evaluate for each in by_label) if facts.judged is None else facts.judged
        return listing(
            count("train", sum(each.train for each in by_label)),
            count("test", sum(each.test for each in by_label)),
            count("evaluate", judged),
        )

    def missing(self, context: Context, outcome: Outcome) -> Sequence[Reason]:
        """See `Step.missing`."""
        facts = SelectOutcome.from_json(outcome.facts)
        tests = {facts.selection: has_digest(facts.digest)}
        if facts.left_out:
            tests[facts.left_out] = has_digest(PurePosixPath(facts.left_out).stem)
        return losses(context, "select", tests)

    def destroy(self, context: Context, outcome: Outcome) -> Sequence[str]:
        """Remove the selection."""
        return remove_files(context, *SelectOutcome.from_json(outcome.facts).files)


def _manifest_inputs(manifest: ManifestSource) -> list[Input]:
    found: list[Input] = [CodeVersion("exported-labels", 2, unrecorded=1)]
    if manifest.attribute is not None:
        found.append(Setting("sources.manifest.attribute", manifest.attribute))
    for label, names in sorted(manifest.labels.items()):
        found.append(Setting(f"sources.manifest.labels.{label}", list(names)))
    return found


def _reader_versions(pipeline: Pipeline) -> Iterator[Input]:
    """Yield the versions of what reads lists, where it read something else before."""
    listed = pipeline.sources.listed
    if isinstance(listed, LayoutSource) and listed.name == "dagm":
        yield CodeVersion("Labels.txt", 2, unrecorded=1)
    if isinstance(listed, TableSource):
        # 2: two columns that deny each other, rows of no label; 3: a column of folders,
        # and words that take a type of defects back.
        yield CodeVersion("tables", 3, unrecorded=1)
    if isinstance(listed, AnnotationSource) and listed.format == "label-studio":
        yield CodeVersion("several annotators", 2, unrecorded=1)
    if isinstance(listed, TableSource | AnnotationSource) and "anomaly" in listed.words.values():
        yield CodeVersion("types by words", 2, unrecorded=1)
    if any(source.masks for source in pipeline.sources.by_label.values()):
        yield CodeVersion("one mask for one image", 2, unrecorded=1)


def _source_inputs(pipeline: Pipeline) -> dict[str, Json]:
    found: dict[str, Json] = {}
    for label, source in pipeline.sources.by_label.items():
        found[f"sources.{label}.include"] = list(source.include)
        found[f"sources.{label}.masks"] = source.masks is not None
        # An archive's name can be the first part of an evaluation image's.
        found[f"sources.{label}.archive"] = archive_stem(source.archive)
        archives = archives_of(label, source)
        if len(archives) > 1 or archives[0].prefix:
            found[f"sources.{label}.archive"] = [each.member for each in archives]
        optional: dict[str, Json] = {
            f"sources.{label}.masks.inside": masks_inside(source) or None,
            f"sources.{label}.exclude": list(source.exclude),
            f"sources.{label}.encoding": source.encoding,
            f"sources.{label}.types.folder": source.types.folder if source.types else None,
            f"sources.{label}.types.pattern": source.types.pattern if source.types else None,
        }
        found |= _said(optional)
    if pipeline.sources.listed:
        found |= _listed_inputs(pipeline.sources.listed)
    return found


def _globs(pipeline: Pipeline) -> Iterator[str]:
    """Yield the globs over names in archives."""
    for source in pipeline.sources.by_label.values():
        yield from (*source.include, *source.exclude)
    for archive in pipeline.evaluate.archives:
        yield from (*archive.include, *archive.exclude)
    if listed := pipeline.sources.listed:
        yield from (*listed.include, *listed.exclude)
    if isinstance(pipeline.split.own, SplitGlobs):
        yield from pipeline.split.own.globs


def _said(optional: Mapping[str, Json]) -> dict[str, Json]:
    """Return the keys that have a value: fingerprints from before there were such stay the same."""
    return {key: value for key, value in optional.items() if value not in (None, [], {})}


def _listed_inputs(source: TableSource | LayoutSource | AnnotationSource) -> dict[str, Json]:
    key = f"sources.{listed_kind(source)}"
    found: dict[str, Json] = {
        f"{key}.archive": archive_stem(source.archive),
        f"{key}.include": list(source.include),
        f"{key}.exclude": list(source.exclude),
        f"{key}.encoding": source.encoding,
    }
    if isinstance(source, LayoutSource):
        found[f"{key}.name"] = source.name
    else:
        found[f"{key}.labels"] = dict(sorted(source.words.items()))
    if isinstance(source, TableSource):
        columns: dict[str, Json] = dict(sorted(source.columns.items()))
        found |= _said(
            {f"{key}.labels.leave-out": list(source.left_out), f"{key}.columns": columns}
        )
    if isinstance(source, AnnotationSource):
        found[f"{key}.format"] = source.format
        found[f"{key}.unmarked"] = source.unmarked
    return found


def _split_inputs(pipeline: Pipeline) -> dict[str, Json]:
    split = pipeline.split
    own = split.own
    found: dict[str, Json] = {"split.group": split.group, "split.stable": split.stable or None}
    if isinstance(own, SplitGlobs):
        found |= _own_names("train", own.train) | _own_names("test", own.test)
    else:
        found["split.from"] = own
    if pipeline.sources.listed and own is None:
        found["split"] = "default" if split.is_default else "shares"
    return _said(found)


def _may_lend(pipeline: Pipeline) -> bool:
    """Tell whether rounding or groups may leave a label without an image to test on."""
    test = pipeline.split.test
    if test is None or pipeline.split.own is not None:
        return False
    shares = [(pipeline.split.train[label].percent, test[label].percent) for label in test]
    # As `sampling.makes_whole`, which a run with nothing to do would load for this alone.
    is_exact = all(abs((train or 0) + (tested or 0) - 100) < 1e-9 for train, tested in shares)
    return not is_exact or pipeline.split.group is not None or pipeline.sources.listed is not None


def _own_names(part: str, names: tuple[str, ...] | NamesIn) -> dict[str, Json]:
    """Return the globs of a part of an own split, or the names that its text files hold."""
    if not isinstance(names, NamesIn):
        return {f"split.from.{part}": list(names)}
    from lfvpipe.dataset.split_lists import read_list

    digests: list[Json] = [hashlib.sha256(read_list(file)).hexdigest() for file in names.file]
    return {f"split.from.{part}.file": digests}


def _local_files(context: Context) -> list[InputFile]:
    """Return what `evaluate.images` names beside the pipeline; one input a pattern.

    One, not one a file: the ledger holds no list that grows with the images.
    """
    index = context.state_dir / "select" / "files.json"
    digests = pattern_digests(context.pipeline, index)
    return [InputFile(pattern, digest) for pattern, digest in digests.items()]


def _share_inputs(section: str, part: str, shares: Mapping[Label, Share]) -> list[Setting]:
    """Return the shares under the key a user would have written: one for both labels if equal."""
    if len(set(shares.values())) == 1:
        keys = {(section + part, section + part): next(iter(shares.values()))}
    else:  # ledgers have the label last
        keys = {
            (f"{section}.{label}{part}", f"{section}{part}.{label}"): share
            for label, share in shares.items()
        }
    return [
        Setting(f"{key}.{unit}", value, f"{before}.{unit}")
        for (key, before), share in keys.items()
        for unit, value in (("percent", share.percent), ("count", share.count))
        if value is not None
    ]
