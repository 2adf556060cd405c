"""`lfvpipe decide`: what each decision would do to the images that were judged."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from lfvpipe import report
from lfvpipe.cli import output
from lfvpipe.cli.options import Json, Option, PipelineOptions
from lfvpipe.cli.plans import has_unlearnt
from lfvpipe.cli.standing_decision import (
    judged_in_training,
    training_verdicts,
    verdicts_of,
)
from lfvpipe.cli.usage import UsageError, command_line
from lfvpipe.cli.variant_choice import find_variant
from lfvpipe.cli.variants import ledger_of, open_variants
from lfvpipe.config.spec import Costs, Decide
from lfvpipe.engine.phrases import count_of
from lfvpipe.errors import UserError
from lfvpipe.steps.evaluate.outcome import EvaluateOutcome

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lfvpipe.cli.variants import Variant
    from lfvpipe.report.policies import Choice
    from lfvpipe.report.records import Confusion, Estimate, Verdict

# What is shown beside the policy that stands, with the line that sets it.
_OFFERED: Mapping[str, Decide | None] = {
    "best-f1": None,
    "{costs: {false_accept: 5, false_reject: 1}}": Decide(costs=Costs(5, 1)),
    "{costs: {false_accept: 20, false_reject: 1}}": Decide(costs=Costs(20, 1)),
    "{costs: {false_accept: 20, false_reject: 1}, prevalence: 0.02}": Decide(
        costs=Costs(20, 1), prevalence=0.02
    ),
    "{costs: {false_accept: 1000, false_reject: 1}, prevalence: 0.02}": Decide(
        costs=Costs(1000, 1), prevalence=0.02
    ),
    "{max_escape_rate: 0.05}": Decide(max_escape_rate=0.05),
    "{max_escape_rate: 0.01}": Decide(max_escape_rate=0.01),
    "{max_false_alarm_rate: 0.05}": Decide(max_false_alarm_rate=0.05),
    "{max_false_alarm_rate: 0.01}": Decide(max_false_alarm_rate=0.01),
}
_SETS = {"test": "test", "verdicts": "evaluation"}


class ForPerson(NamedTuple):
    """How many images go to a person: of defective products, of good ones, and in all."""

    anomalies: int
    normals: int
    images: int


@dataclass(frozen=True)
class Row:
    """A decision with what it does, by set of images.

    Attributes:
        line: What sets it in a pipeline file; "" for one that is there and is not offered.
        is_set: Whether it is the one in the pipeline file.
        counts: Of the images with a label, without those that go to a person.
        for_person: These.
    """

    line: str
    is_set: bool
    choice: Choice
    counts: Mapping[str, Confusion]
    for_person: Mapping[str, ForPerson]


@dataclass(frozen=True, kw_only=True)
class DecideOptions(PipelineOptions):
    """What `lfvpipe decide` reads."""

    variant: Annotated[
        str | None,
        Option(
            "--variant",
            metavar="NAME",
            about="matrix: whose verdicts, by its name or a part of it (default: those of the"
            " variant judged last)",
            group="target",
        ),
    ] = None
    json: Json = False


def run(options: DecideOptions) -> int:
    """Print what stands and what else there is to choose; return 0."""
    variant = find_variant(open_variants(options), options.variant)
    found = EvaluateOutcome.standing(ledger_of(variant), variant.name)
    if found is None:
        raise UsageError(
            f"{variant.pipeline.name} has no verdicts yet to decide on.",
            hint=f"Run it first: `{command_line('run', options)}`.",
        )
    rows = list(_rows(variant, found))
    told = training_verdicts(variant.context.state_dir, found)
    doubted = len(report.suspects.contradicted(told) or ())
    if options.json:
        output.print_json({"choices": [_json(row) for row in rows], "contradicted": doubted})
        return 0
    for row in rows:
        print("\n".join(_lines(row)))
    if doubted:
        first = report.suspects.correct_first(doubted)
        with suppress(UserError):  # what cannot be read is `run`'s to tell
            if has_unlearnt(options, variant):  # such as these very labels
                first += f"; where that is done, `{command_line('run', options)}` learns them"
        print(output.styled(f"\nThese thresholds go by labels: {first}.", "yellow"))
    again = command_line("run", options)
    print(
        "\nEscapes are defective images called normal, false alarms good ones called anomalous; in"
        " brackets how many of all to come there are with 95 % confidence. Thresholds were chosen"
        " by training images alone, by models that had not learnt from them. Write the line that"
        f" you want into the pipeline file, as evaluate.decide, and `{again}`: it trains nothing."
    )
    return 0


def _rows(variant: Variant, found: EvaluateOutcome) -> Iterator[Row]:
    state_dir, spec = variant.context.state_dir, variant.pipeline.evaluate
    judged = judged_in_training(state_dir, found)
    sets = {
        title: verdicts_of(state_dir, getattr(found, name).path)
        for name, title in _SETS.items()
        if getattr(found, name).count
    }
    own = [] if spec.decide in _OFFERED.values() else [("", spec.decide)]
    for line, policy in (*own, *_OFFERED.items()):
        choice = report.policies.decide(policy, spec.to_person, judged, found.calibrated_at_half)
        decided = {
            title: [each.decided(choice.decision, spec.review_below) for each in verdicts]
            for title, verdicts in sets.items()
        }
        yield Row(
            line,
            policy == spec.decide,
            choice,
            {title: report.metrics.confusion(each) for title, each in decided.items()},
            {title: _for_person(each) for title, each in decided.items()},
        )


def _for_person(verdicts: Sequence[Verdict]) -> ForPerson:
    labels = [each.label for each in verdicts if each.to_person]
    return ForPerson(labels.count("anomaly"), labels.count("normal"), len(labels))


def _lines(row: Row) -> Iterator[str]:
    threshold = f"{row.choice.decision.threshold:.3g}"
    title = " ".join(filter(None, (row.line, "(in the pipeline file)" if row.is_set else "")))
    yield output.styled(title, "bold" if row.is_set else "cyan")
    yield f"  score of {threshold}: {row.choice.by}"
    for name, counts in row.counts.items():
        left = row.for_person[name]
        escapes = _share(counts.false_negative, counts.positive, left.anomalies)
        alarms = _share(counts.false_positive, counts.negative, left.normals)
        looked = f"; {count_of(left.images, 'image')} for a person" if left.images else ""
        yield f"  {name}: escapes {escapes}; false alarms {alarms}{looked}"
    if row.choice.note:
        yield output.styled(f"  note: {row.choice.note}", "yellow")


def _share(part: int, whole: int, for_person: int) -> str:
    found = report.metrics.wilson(part, whole)
    if found.low is None or found.high is None:
        if for_person:
            return "unknown, as all such images with a label go to a person"
        return "unknown, as no such image has a label"
    return f"{part} of {whole} ({100 * found.low:.0f} to {100 * found.high:.0f} %)"


def _json(row: Row) -> dict[str, Any]:
    return {
        "decide": row.line or None,
        "is_set": row.is_set,
        **asdict(row.choice.decision),
        "by": row.choice.by,
        "note": row.choice.note or None,
        "sets": {
            name: {
                "escapes": counts.false_negative,
                "anomalies": counts.positive,
                "false_alarms": counts.false_positive,
                "normals": counts.negative,
                "for_person": row.for_person[name]._asdict(),
                "escape_rate": _interval(
                    report.metrics.wilson(counts.false_negative, counts.positive)
                ),
                "false_alarm_rate": _interval(
                    report.metrics.wilson(counts.false_positive, counts.negative)
                ),
            }
            for name, counts in row.counts.items()
        },
    }


def _interval(found: Estimate) -> list[float | None]:
    return [found.low, found.high]
