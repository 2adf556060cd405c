"""`lfvpipe decide`: what each decision would do to the images that were judged."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from lfvpipe import report
from lfvpipe.cli import output
from lfvpipe.cli.doubted_labels import doubted_labels
from lfvpipe.cli.options import Json, Option, PipelineOptions
from lfvpipe.cli.plans import has_unlearnt
from lfvpipe.cli.standing_decision import (
    judged_in_training,
    training_verdicts,
    verdicts_of,
)
from lfvpipe.cli.unnamed_labels import about_unnamed_labels
from lfvpipe.cli.usage import UsageError, command_line
from lfvpipe.cli.variant_choice import find_variant
from lfvpipe.cli.variants import ledger_of, open_variants, where_set
from lfvpipe.config.spec import Costs, Decide
from lfvpipe.engine.phrases import count_of, doing
from lfvpipe.errors import UserError
from lfvpipe.steps.evaluate.outcome import EvaluateOutcome

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lfvpipe.cli.doubted_labels import DoubtedLabels
    from lfvpipe.cli.variants import Variant
    from lfvpipe.report.policies import Choice, Judged
    from lfvpipe.report.records import Confusion, Estimate, ForPerson

# What is shown beside the policy that stands, with the line that sets it.
_OFFERED: Mapping[str, Decide | None] = {
    "best-f1": None,
    "{costs: {false_accept: 5, false_reject: 1}}": Decide(costs=Costs(5, 1)),
    "{costs: {false_accept: 20, false_reject: 1}}": Decide(costs=Costs(20, 1)),
    "{costs: {false_accept: 20, false_reject: 1}, prevalence: 0.02}": Decide(
        costs=Costs(20, 1), prevalence=0.02
    ),
    "{costs: {false_accept: 20, false_reject: 1, person: 0.2}, prevalence: 0.02}": Decide(
        costs=Costs(20, 1, 0.2), prevalence=0.02
    ),
    "{costs: {false_accept: 1000, false_reject: 1}, prevalence: 0.02}": Decide(
        costs=Costs(1000, 1), prevalence=0.02
    ),
    "{max_escape_rate: 0.05}": Decide(max_escape_rate=0.05),
    "{max_escape_rate: 0.01}": Decide(max_escape_rate=0.01),
    "{max_false_alarm_rate: 0.05}": Decide(max_false_alarm_rate=0.05),
    "{max_false_alarm_rate: 0.01}": Decide(max_false_alarm_rate=0.01),
}
_DECIDES = ("evaluate.decide", "evaluate.costs")
_LOOK = 0.2  # of the cheaper mistake: what a person's look costs in an example
_SETS = {"test": "test", "verdicts": "evaluation"}


@dataclass(frozen=True)
class Row:
    """A decision with what it does, by set of images.

    Attributes:
        line: What sets it in a pipeline file.
        set_by: What has it in force: ``--set``, a pipeline file's name, or "the default"; "" for
            one that is not.
        counts: Of the images with a label, without those that go to a person.
        for_person: These.
        hint: What else could be said of the costs.
    """

    line: str
    set_by: str
    choice: Choice
    counts: Mapping[str, Confusion]
    for_person: Mapping[str, ForPerson]
    hint: str = ""


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
    rows = list(_rows(variant, found, _in_force(options)))
    told = training_verdicts(variant.context.state_dir, found)
    ledger = ledger_of(variant)
    doubted = doubted_labels(variant, ledger, told)
    is_due = False
    with suppress(UserError):  # what cannot be read is `run`'s to tell
        is_due = has_unlearnt(options, variant)
    if options.json:
        output.print_json(
            {
                "choices": [_json(row) for row in rows],
                "contradicted": doubted.contradicted,
                "corrected": doubted.corrected,
                "run_is_due": is_due,
            }
        )
        return 0
    if band := variant.pipeline.evaluate.to_person:
        by = _set_by(where_set(options, "evaluate.to_person"))
        line = f"to_person: {{above: {band.above:g}, below: {band.below:g}}}"
        print(f"{line} (in force: {by}) holds for each of these:")
    for row in rows:
        print("\n".join(_lines(row)))
    again = command_line("run", options)
    for warning in _warnings(doubted, about_unnamed_labels(variant, ledger), again, is_due=is_due):
        print(output.styled(f"\n{warning}", "yellow"))
    without = tuple(each for each in options.overrides if not each.strip().startswith(_DECIDES))
    then = command_line("run", replace(options, overrides=without))
    print(
        "\nEscapes are defective images called normal, false alarms good ones called anomalous; in"
        " brackets how many of all to come there are with 95 % confidence. Thresholds were chosen"
        " by training images alone, by models that had not learnt from them. Write the line that"
        f" you want into the pipeline file, as evaluate.decide, and `{then}`: it trains nothing"
        f"{' more than what is due' if is_due else ''}."
    )
    return 0


def _warnings(doubted: DoubtedLabels, unnamed: str, again: str, *, is_due: bool) -> Iterator[str]:
    """Yield why the thresholds may not be what they should be, a sentence each."""
    if doubted.left:
        yield f"These thresholds go by labels: {report.suspects.correct_first(doubted.left)}."
    if unnamed:
        yield f"{unnamed}."
    if is_due:
        due = f"`{again}` is due before you decide"
        if doubted.corrected:
            labels = doing(doubted.corrected, "contradicted label", "were")
            yield f"{labels} corrected since the model learnt: {due}."
        else:
            yield f"The model is not what the pipeline file and its images would make: {due}."


def _in_force(options: DecideOptions) -> str:
    """Return where it is said what is decided by."""
    return _set_by(where_set(options, *_DECIDES))


def _set_by(place: str) -> str:
    if not place:
        return "the default"
    return "--set" if place.startswith("--set ") else Path(place).name


def _rows(variant: Variant, found: EvaluateOutcome, in_force: str) -> Iterator[Row]:
    state_dir, spec = variant.context.state_dir, variant.pipeline.evaluate
    judged = judged_in_training(state_dir, found)
    sets = {
        title: verdicts_of(state_dir, getattr(found, name).path)
        for name, title in _SETS.items()
        if getattr(found, name).count
    }
    others = {line: policy for line, policy in _OFFERED.items() if policy != spec.decide}
    for line, policy in ((_line_of(spec.decide), spec.decide), *others.items()):
        is_set = policy == spec.decide
        choice = report.policies.decide(policy, spec.to_person, judged, found.calibrated_at_half)
        decided = {
            title: [each.decided(choice.decision, spec.review_below) for each in verdicts]
            for title, verdicts in sets.items()
        }
        yield Row(
            line,
            in_force if is_set else "",
            choice,
            {title: report.metrics.confusion(each) for title, each in decided.items()},
            {title: report.metrics.for_person(each) for title, each in decided.items()},
            _about_look(policy, judged, found.calibrated_at_half)
            if is_set and spec.to_person is None
            else "",
        )


def _line_of(policy: Decide | None) -> str:
    """Return what sets a policy in a pipeline file."""
    return "best-f1" if policy is None else _flow(asdict(policy))


def _flow(said: Mapping[str, Any]) -> str:
    parts = [
        f"{key}: {_flow(value) if isinstance(value, dict) else f'{value:.12g}'}"
        for key, value in said.items()
        if value is not None
    ]
    return f"{{{', '.join(parts)}}}"


def _about_look(policy: Decide | None, judged: Sequence[Judged], half: float | None) -> str:
    """Return what to write so that costs say which images go to a person; "" where they do."""
    if policy is None or policy.costs is None or policy.costs.person is not None:
        return ""
    look = _LOOK * min(policy.costs.false_accept, policy.costs.false_reject)
    band = report.policies.band_that_pays(policy, look, judged, half)
    if band is None:
        return ""
    return (
        "what a person's look costs is not said, so none is asked: at"
        f" `person: {look:.3g}` among the costs, scores of {band[0]:.3g} to {band[1]:.3g} would go"
        " to a person"
    )


def _lines(row: Row) -> Iterator[str]:
    decision = row.choice.decision
    title = f"{row.line} (in force: {row.set_by})" if row.set_by else row.line
    yield output.styled(title, "bold" if row.set_by else "cyan")
    band = ""
    if decision.above is not None and decision.below is not None:
        band = f"; a person decides between {decision.above:.3g} and {decision.below:.3g}"
    yield f"  score of {decision.threshold:.3g}: {row.choice.by}{band}"
    for name, counts in row.counts.items():
        left = row.for_person[name]
        escapes = _share(counts.false_negative, counts.positive, left.anomalies)
        alarms = _share(counts.false_positive, counts.negative, left.normals)
        looked = f"; {count_of(left.images, 'image')} for a person" if left.images else ""
        yield f"  {name}: escapes {escapes}; false alarms {alarms}{looked}"
    if row.choice.note:
        yield output.styled(f"  note: {row.choice.note}", "yellow")
    if row.hint:
        yield f"  hint: {row.hint}"


def _share(part: int, whole: int, for_person: int) -> str:
    found = report.metrics.wilson(part, whole)
    if found.low is None or found.high is None:
        if for_person:
            return "unknown, as all such images with a label go to a person"
        return "unknown, as no such image has a label"
    return f"{part} of {whole} ({100 * found.low:.0f} to {100 * found.high:.0f} %)"


def _json(row: Row) -> dict[str, Any]:
    return {
        "decide": row.line,
        "is_set": bool(row.set_by),
        "set_by": row.set_by or None,
        **asdict(row.choice.decision),
        "by": row.choice.by,
        "note": row.choice.note or None,
        "hint": row.hint or None,
        "sets": {
            name: {
                "escapes": counts.false_negative,
                "anomalies": counts.positive,
                "false_alarms": counts.false_positive,
                "normals": counts.negative,
                "for_person": asdict(row.for_person[name]),
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
