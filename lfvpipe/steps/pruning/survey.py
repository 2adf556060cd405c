"""What nothing needs any more, in groups with their sizes; nothing is changed.

Needed is what any variant stands at, what a run that did not finish goes on from, and all that
these were made of, as the ledger tells; what other pipelines of the same state need; and what is
hosted, in training, or in a data set. What cannot be told is taken for needed.

Only what lies on this machine's disk goes: what a service or a store elsewhere holds, `destroy`
removes. Whose a project is the bucket says, wherever it is, where kept verdicts are asked for.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from lfvpipe import engine
from lfvpipe.damage import parse_json
from lfvpipe.dataset.index import read_objects, read_pieces
from lfvpipe.dataset.kept import Bounds, store_of
from lfvpipe.errors import UserError
from lfvpipe.lookout.statuses import ModelStatus
from lfvpipe.steps.evaluate.outcome import EvaluateOutcome
from lfvpipe.steps.extract.outcome import ExtractOutcome
from lfvpipe.steps.intact import digest_of
from lfvpipe.steps.manifests import ManifestsOutcome
from lfvpipe.steps.model.outcome import ModelOutcome
from lfvpipe.steps.project import owns_project
from lfvpipe.steps.pruning import service_objects
from lfvpipe.steps.pruning.scale import Scale, TooMany, bytes_below, files_below
from lfvpipe.steps.report import ReportOutcome
from lfvpipe.steps.select.outcome import SelectOutcome
from lfvpipe.steps.upload.outcome import Destination
from lfvpipe.steps.upload.transfer import journal_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from lfvpipe.engine.ledger import Ledger
    from lfvpipe.engine.needed import Known
    from lfvpipe.engine.outcome import Outcome
    from lfvpipe.steps.context import Context

Kind = Literal[
    "models",
    "runs",
    "images",
    "objects",
    "archives",
    "trainings",
    "verdicts",
    "networks",
    "left",
]
"""Old models; pages and verdicts of old runs; prepared images and lists; objects of the bucket;
fetched archives; what cancelled trainings had learnt; kept verdicts of detected images; converted
networks of other versions; what killed commands left."""


@dataclass(frozen=True)
class Group:
    """Things of one kind that nothing needs.

    Attributes:
        kind: See `Kind`.
        number: How many: models, verdicts, objects, else files.
        bytes: That are freed by removing it after the groups before it.
        files: What is removed; of objects and models what is theirs on the disk.
        keys: Of objects in the bucket.
        outcomes: By step, the digests of outcomes that are gone with it.
    """

    kind: Kind
    number: int
    bytes: int
    files: tuple[Path, ...] = ()
    keys: tuple[str, ...] = ()
    outcomes: Mapping[str, frozenset[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Wish:
    """What stays besides what is needed.

    Attributes:
        runs: How many runs of each variant, with that which it stands at.
        verdicts: How many kept verdicts of detected images; None for all.
    """

    runs: int = 1
    verdicts: int | None = None


def survey(
    context: Context,
    ledger: Ledger,
    wish: Wish,
    *,
    networks: Sequence[Path] = (),
    left: Sequence[Path] = (),
) -> list[Group]:
    """Return what nothing needs, of the pipeline and of what the pipelines of its state share.

    Args:
        context: The pipeline.
        ledger: Its.
        wish: What stays besides.
        networks: Converted ones that no process of this version reads.
        left: What killed commands left.

    Raises:
        FactsError: A ledger's outcome cannot be read.
    """
    known = _Known.of(context, ledger, wish)
    scale = Scale()
    found = [
        _models(known),
        _runs(known),
        _images(known),
        _objects(known),
        _archives(known),
        _trainings(context, ledger),
        _verdicts(context, ledger, wish),
        Group("networks", len(networks), 0, tuple(networks)),
        Group("left", len(left), 0, tuple(left)),
    ]
    return [
        replace(each, bytes=each.bytes + scale.freed(each.files))
        for each in found
        if each is not None and each.number
    ]


@dataclass(frozen=True)
class _Known:
    """What the ledgers tell.

    Attributes:
        runs: The ids of the runs that stay.
        needed: Of this pipeline.
        by_others: What the other pipelines of the state need; None where one of them has a ledger
            that cannot be read.
    """

    context: Context
    ledger: Ledger
    runs: frozenset[str]
    needed: frozenset[Known]
    by_others: Mapping[Known, Outcome] | None
    others_unfinished: bool

    @classmethod
    def of(cls, context: Context, ledger: Ledger, wish: Wish) -> _Known:
        runs = _kept_runs(context, ledger, wish.runs)
        more = [
            ("report", outcome.digest)
            for outcome in _outcomes(ledger, "report")
            if ReportOutcome.from_json(outcome.facts).run in runs
        ]
        by_others: dict[Known, Outcome] | None = {}
        unfinished = False
        for file in sorted(context.state_root.glob("*/ledger.json")):
            if file.parent == context.state_dir:
                continue
            try:
                other = engine.Ledger.load(file)
            except engine.LedgerError:
                by_others = None
                break
            for step, digest in engine.needed_outcomes(other):
                for outcome in _outcomes(other, step):
                    if outcome.digest == digest and by_others is not None:
                        by_others[step, digest] = outcome
            unfinished |= _is_fetching(other)
        needed = engine.needed_outcomes(ledger, more)
        standing = {
            ReportOutcome.from_json(outcome.facts).run
            for outcome in _outcomes(ledger, "report")
            if ("report", outcome.digest) in needed
        }
        return cls(context, ledger, frozenset(runs | standing), needed, by_others, unfinished)

    def split(self, step: str) -> tuple[list[Outcome], list[Outcome]]:
        """Return the needed outcomes of a step, and the others."""
        both: tuple[list[Outcome], list[Outcome]] = ([], [])
        for outcome in _outcomes(self.ledger, step):
            both[(step, outcome.digest) not in self.needed].append(outcome)
        return both

    def is_unfinished(self, step: str) -> bool:
        """Tell whether a run is to go on with an attempt at the step."""
        records = self.ledger.records(step)
        return any(engine.is_unfinished(self.ledger, step, each) for each in records)


def _outcomes(ledger: Ledger, step: str) -> Iterator[Outcome]:
    for record in ledger.records(step):
        yield from record.outcomes


def _is_fetching(ledger: Ledger) -> bool:
    return any(
        engine.is_unfinished(ledger, step, record)
        for step in ledger.known_steps
        if step.startswith("fetch:")
        for record in ledger.records(step)
    )


def _digests(outcomes: Iterable[Outcome]) -> frozenset[str]:
    return frozenset(each.digest for each in outcomes)


def _kept_runs(context: Context, ledger: Ledger, most: int) -> set[str]:
    """Return the ids of the runs that stay: each variant's own, and of its latest as many."""
    by_variant: dict[str, list[str]] = defaultdict(list)
    for variant in ledger.standing:
        standing = ReportOutcome.standing(ledger, variant)
        if standing is not None:
            by_variant[variant].append(standing.run)
    for file in sorted((context.state_dir / "runs").glob("*.json"), reverse=True):
        run = _json_of(file)
        said = run.get("variant")
        # Whose it is cannot be told of one that is damaged: it stays.
        variant = said if isinstance(said, str) else f"\0{file.stem}"
        if file.stem not in by_variant[variant]:
            by_variant[variant].append(file.stem)
    return {run for runs in by_variant.values() for run in runs[:most]}


def _json_of(file: Path) -> dict[str, Any]:
    try:
        found = parse_json(file.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _models(known: _Known) -> Group | None:
    """Return the versions in the embedded service that this pipeline made and no run needs."""
    import sqlite3

    from lfvpipe.service import looks

    context = known.context
    if context.pipeline.service.endpoint != "embedded" or known.by_others is None:
        return None
    where = context.service_dir, context.pipeline.region
    gone: list[Outcome] = []
    files: list[Path] = []
    for outcome in known.split("model")[1]:
        facts = ModelOutcome.from_json(outcome.facts)
        if not facts.created_by_us or ("model", outcome.digest) in known.by_others:
            continue
        try:
            found = looks.find_model(*where, facts.project, facts.version)
        except (looks.StateDamaged, sqlite3.Error):
            return None
        if found is not None and found.status == ModelStatus.TRAINED:  # not hosted above all
            gone.append(outcome)
            files += files_below(found.file.parent)
    digests = {"model": _digests(gone)}
    return Group("models", len(digests["model"]), 0, tuple(dict.fromkeys(files)), (), digests)


def _runs(known: _Known) -> Group | None:
    """Return pages, verdicts and heat maps of old runs; their figures stay in the history."""
    folder = known.context.state_dir
    stays: set[str] = set()
    models: set[str] = set()
    for run in known.runs:
        file = folder / "runs" / f"{run}.json"
        if not file.is_file():
            continue
        said = _json_of(file)
        model, named = said.get("model"), said.get("verdict_files")
        if not isinstance(named, dict) or not all(isinstance(n, dict) for n in named.values()):
            return None  # a damaged one: which verdicts are its own cannot be told
        sha256 = model.get("sha256") if isinstance(model, dict) else None
        # Without it, whose heat maps there are cannot be told.
        models.add(sha256[:32] if isinstance(sha256, str) else "")
        stays |= {str(each.get("path")) for each in named.values()}
    needed, others = known.split("evaluate")
    for outcome in needed:
        facts = EvaluateOutcome.from_json(outcome.facts)
        named = (facts.verdicts, facts.test, facts.training)
        stays |= {each.path for each in named if each is not None}
    found = [
        file
        for name in ("verdicts", "evaluations")
        for file in (folder / name).glob("*.jsonl")
        if f"{name}/{file.name}" not in stays and not file.name.endswith(".partial.jsonl")
    ]
    if known.is_unfinished("evaluate"):
        found = []  # it may have written what no outcome names yet
    found += [f for f in (folder / "runs").glob("*.html") if f.stem not in known.runs]
    if "" not in models and not known.is_unfinished("report"):
        maps = (folder / "heat-maps").glob("*.jsonl")
        found += [file for file in maps if file.name.partition("-")[0] not in models]
    left = [each for each in others if EvaluateOutcome.from_json(each.facts).kept is None]
    return Group("runs", len(found), 0, tuple(found), (), {"evaluate": _digests(left)})


def _images(known: _Known) -> Group | None:
    """Return prepared images that no needed index names, indexes, and selections."""
    folder = known.context.state_dir
    if any(known.is_unfinished(step) for step in ("select", "extract")):
        return None  # an extraction notes what it has done in no index until it is over
    names: set[str] = set()
    lists: set[str] = set()
    needed, others = known.split("extract")
    for outcome in needed:
        facts = ExtractOutcome.from_json(outcome.facts)
        lists |= {facts.index, facts.notes}
        if not _is_whole(folder / facts.index, facts.digest):
            return None
        names |= {piece.path for piece in read_pieces(folder / facts.index)}
    selected, unselected = known.split("select")
    lists |= {name for each in selected for name in SelectOutcome.from_json(each.facts).files}
    files = [
        file
        for file in (folder / "images").glob("*/*")
        if file.relative_to(folder).as_posix() not in names and file.suffix in (".png", ".jpg")
    ]
    for name in ("index", "selection"):
        made = (folder / name).glob("*.jsonl")
        files += [file for file in made if f"{name}/{file.name}" not in lists]
    digests = {"extract": _digests(others), "select": _digests(unselected)}
    return Group("images", len(files), 0, tuple(files), (), digests)


def _objects(known: _Known) -> Group | None:
    """Return what this pipeline put into its local bucket and no run, data set or other one needs.

    What lies there and is in none of its journals is somebody's own.
    """
    context, spec = known.context, known.context.pipeline.bucket
    folder = context.buckets_dir / spec.name
    if spec.endpoint != "local" or not folder.is_dir() or known.by_others is None:
        return None
    if any(known.is_unfinished(step) for step in ("upload", "manifests")):
        return None
    used = service_objects.used_keys(context, spec.name)
    if used is None:
        return None
    needed, others = known.split("upload")
    for outcome in needed:
        to = Destination.from_json(outcome.facts)
        if (to.endpoint, to.name) == ("local", spec.name):
            index = context.state_dir / to.index
            if not _is_whole(index, to.digest):
                return None
            used |= {to.prefix + piece.path for piece in read_objects(index)}
    listed, unlisted = known.split("manifests")
    for outcome in listed:
        used |= {each.key for each in ManifestsOutcome.from_json(outcome.facts).by_split.values()}
    keys = _uploaded(context, spec.name)
    for outcome in unlisted:
        facts = ManifestsOutcome.from_json(outcome.facts)
        if facts.bucket == spec.name and (outcome.identity or {}).get("endpoint") == "local":
            keys |= set(facts.ours)
    free = {key for key in keys - used if key.startswith(spec.prefix)}
    free = {key for key in free if (folder / key).is_file()}
    free -= service_objects.used_by_others(context, known.ledger.lineage, free)
    gone = {
        "upload": _digests(each for each in others if _is_in(each, spec.name, "name")),
        # One whose key a kept one shares tells `destroy` whose it is.
        "manifests": _digests(
            each
            for each in unlisted
            if _is_in(each, spec.name, "bucket")
            and used.isdisjoint(ManifestsOutcome.from_json(each.facts).ours)
        ),
    }
    files = tuple(folder / key for key in sorted(free))
    return Group("objects", len(free), 0, files, tuple(sorted(free)), gone)


def _is_whole(index: Path, sha256: str) -> bool:
    """Tell whether an index has all its lines: what one that was cut lacks is no less needed."""
    return index.is_file() and digest_of(index) == sha256


def _is_in(outcome: Outcome, bucket: str, key: str) -> bool:
    endpoint = (outcome.identity or {}).get("endpoint")
    return endpoint == "local" and outcome.facts.get(key) == bucket


def _uploaded(context: Context, bucket: str) -> set[str]:
    """Return the keys of the images that this pipeline uploaded to a local bucket."""
    if not (context.state_dir / "upload").is_dir():
        return set()
    to = Destination("local", context.pipeline.region, bucket, "", "", "")
    journal = journal_of(context, to)
    text = journal.read_text("utf-8", errors="replace") if journal.is_file() else ""
    return set(text.split("\n")[:-1]) - {""}  # a last line that a crash tore is no key


def _archives(known: _Known) -> Group | None:
    """Return what was fetched and no pipeline of the state needs."""
    cache = known.context.cache_dir
    if known.by_others is None or cache.is_symlink():  # others may use it, who cannot be asked
        return None
    stays = {
        str(outcome.facts.get("path"))
        for (step, _), outcome in known.by_others.items()
        if step.startswith("fetch:")
    }
    for step in known.ledger.known_steps:
        if step.startswith("fetch:"):
            stays |= {str(each.facts.get("path")) for each in known.split(step)[0]}
    # The parts of a zip lie a folder deeper than a whole one.
    kept = {parent for path in stays for parent in (known.context.state_root / path).parents}
    is_fetching = known.others_unfinished or _is_fetching(known.ledger)
    files = [
        file
        for folder in cache.glob("[0-9a-f]" * 32)
        if folder not in kept and not (is_fetching and (folder / ".part").exists())
        for file in files_below(folder)
        if file.name != ".lock"
    ]
    return Group("archives", len(files), 0, tuple(files))


def _trainings(context: Context, ledger: Ledger) -> Group | None:
    """Return what a cancelled training had learnt, unless a run that did not finish wants it."""
    from lfvpipe.service import looks

    is_wanted = any("model" in steps for steps in ledger.attempted.values())
    if context.pipeline.service.endpoint != "embedded" or is_wanted:
        return None
    service = looks.find_folder(context.service_dir, context.pipeline.region)
    folder = looks.cancelled_learning(service, context.pipeline.project)
    files = tuple(files_below(folder)) if folder.is_dir() else ()
    return Group("trainings", len(files), 0, files)


def _verdicts(context: Context, ledger: Ledger, wish: Wish) -> Group | None:
    """Return the oldest kept verdicts of detected images, beyond as many as shall stay.

    Under a project's name they are that pipeline's whose project it is.
    """
    if wish.verdicts is None:
        return None
    store = store_of(context.state_root, context.pipeline.region, context.pipeline.project)
    if not store.folder.is_dir() or not owns_project(context, ledger):
        return None
    verdicts = store.read()
    gone = verdicts[: max(0, len(verdicts) - wish.verdicts)]
    files = tuple(store.image(each) for each in gone if each.path is None)
    lines = replace(store, bounds=Bounds(verdicts=wish.verdicts)).beyond()
    return Group("verdicts", len(gone), lines, files)


@dataclass(frozen=True)
class DiskUse:
    """How many bytes the folder of all state has, and how many of them nothing needs."""

    bytes: int
    prunable: int


MOST_FILES = 5000  # that are looked at for an aside: 0.1 s


def disk_use(context: Context, ledger: Ledger) -> DiskUse | None:
    """Return how much room the state takes; None where that would take long, or cannot be told."""
    try:
        total = bytes_below(context.state_root, most=MOST_FILES)
        groups = survey(context, ledger, Wish())
    except (TooMany, UserError, OSError):
        return None
    return DiskUse(total, sum(each.bytes for each in groups))
