"""The summary that ends a run in the terminal: one screen, plain text or in colour."""

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from lfvpipe.decision import Decision
from lfvpipe.engine.phrases import count_of, doing
from lfvpipe.report import certainty, metrics
from lfvpipe.report.certainty import Statement
from lfvpipe.report.durations import duration
from lfvpipe.report.records import (
    Confusion,
    Estimate,
    RunRecord,
    Scores,
    Timing,
    TypeRecall,
    Verdict,
    wrong_first,
)
from lfvpipe.visible import visible_name

WIDE = 72  # columns that two metrics beside one another take
AROUND = 36  # columns of a verdict's line beside the name
ROWS = 12  # verdicts shown; the others are counted, so that the summary fits a screen
SETS = {"test": "test set", "evaluation": "evaluation images"}
METRICS = {"f1": "F1", "precision": "precision", "recall": "recall", "roc_auc": "AUROC"}
BOLD, DIM, RED, GREEN, YELLOW = "1", "2", "31", "32", "33"


def summary(run: RunRecord, width: int, color: bool) -> str:
    """Return what `run` showed: metrics, confusion, verdicts, findings, and where time went.

    Args:
        run: A run with its verdicts loaded.
        width: Columns of the terminal; messages are wrapped, other lines shortened.
        color: Whether to use ANSI colours; the caller asks the terminal and NO_COLOR.
    """
    sections = (
        _head(run),
        *(_scores(run, name, width) for name in run.scores),
        _together(run, width),
        _untested(run, width),
        _verdicts(run, width),
        _findings(run, width),
        _times(run.timings, width),
    )
    lines = [line for section in sections for line in section]
    return "\n".join(_fit(line, width, color) for line in lines) + "\n"


Span = tuple[str, str]  # text, ANSI style ("" for none)
Line = tuple[Span, ...]


def _fit(line: Line, width: int, color: bool) -> str:
    parts, left = [], max(width, 20)
    for raw, style in line:
        text = visible_name(raw)
        shown = text if len(text) <= left else text[: left - 1] + "…"
        left -= len(shown)
        parts.append(f"\x1b[{style}m{shown}\x1b[0m" if color and style and shown else shown)
        if not left:
            break
    return "".join(parts).rstrip() if not color else "".join(parts)


def _plain(text: str = "") -> Line:
    return ((text, ""),)


def _head(run: RunRecord) -> Iterator[Line]:
    model = f"model {run.model['version']}" if run.model.get("version") else "no model"
    variant = "" if run.variant == "default" else f" [{run.variant}]"
    yield ((f"{run.name}{variant}", BOLD), (f"  {model}  run {run.id}", DIM))
    if (made := run.decision) is not None:
        yield _plain(f"decided at a score of {made.threshold:.3g}, by {made.by}")
        if made.threshold != Decision().threshold:
            yield _plain("what the model step says of F1 is at the model's own threshold, 0.5")
        if made.above is not None and made.below is not None:
            yield _plain(f"a person decides between {made.above:.3g} and {made.below:.3g}")


def _scores(run: RunRecord, name: str, width: int) -> Iterator[Line]:
    scores = run.scores[name]
    for_person = metrics.for_person(run.verdicts.get(name, ()))
    if not scores.confusion.total and not for_person.images:
        return
    yield _plain()
    labelled = count_of(scores.confusion.total or for_person.labelled, "labelled image")
    left = f", and {for_person.images:,} for a person to decide on" if for_person.images else ""
    if not scores.confusion.total:
        unlabelled = for_person.images - for_person.labelled
        too = f", as {doing(unlabelled, 'other', 'are')}" if unlabelled else ""
        left = f", for a person to decide on{too}"
    yield ((SETS.get(name, name), BOLD), (f"  {labelled}", DIM), (left, YELLOW))
    if not scores.confusion.total:
        yield from _metrics(scores, width)
        return
    has_both = scores.confusion.positive > 0 < scores.confusion.negative
    yield from _metrics(scores, width)
    if has_both:
        yield from _confusion(scores.confusion)
    yield from _types(metrics.recall_by_type(run.verdicts.get(name, ())))
    said: Iterable[Statement] = ()
    if certainty.judged_sets(run) == [name]:
        said = certainty.unknowns(run)
    elif not has_both:
        said = certainty.statements(scores.confusion, for_person)
    for statement in said:
        yield from _statement(statement, width)


def _metrics(scores: Scores, width: int) -> Iterator[Line]:
    shown = [
        f"{word} {_estimate(scores.estimates[name])}"
        for name, word in METRICS.items()
        if name in scores.estimates and scores.estimates[name].value is not None
    ]
    beside = 2 if width >= WIDE else 1
    for start in range(0, len(shown), beside):
        yield _plain("  " + "   ".join(f"{text:<32}" for text in shown[start : start + beside]))


def _types(rows: Sequence[TypeRecall]) -> Iterator[Line]:
    """Yield how many images of each type of defect were found, those with the most missed first."""
    for row in rows[:ROWS]:
        style = RED if row.found < row.total else GREEN
        yield ((f"  {row.type}: ", ""), (f"{row.found} of {row.total} found", style))
    if len(rows) > ROWS:
        yield ((f"  and {len(rows) - ROWS} more types in the report", DIM),)


def _untested(run: RunRecord, width: int) -> Iterator[Line]:
    """Yield what is known of a model that no labelled image was judged with."""
    if not certainty.judged_sets(run):
        yield _plain()
        why = certainty.why_no_figure(certainty.all_left(run))
        yield ((f"{why[:1].lower()}{why[1:]}", BOLD),)
        for statement in certainty.unknowns(run):
            yield from _statement(statement, width)


def _together(run: RunRecord, width: int) -> Iterator[Line]:
    """Yield what is known of a model that two sets of labelled images were judged with."""
    if len(certainty.judged_sets(run)) > 1:
        counts = certainty.all_judged(run)
        yield _plain()
        yield (("all together", BOLD), (f"  {count_of(counts.total, 'labelled image')}", DIM))
        said = certainty.mistakes(counts)
        left = certainty.all_left(run)
        if not certainty.statements(counts, left):  # else these say so below
            said = f"{said}. {certainty.bounds(counts, left)}"
        yield from _wrap(("", ""), said, width)
        for statement in certainty.unknowns(run):
            yield from _statement(statement, width)


def _statement(statement: Statement, width: int) -> Iterator[Line]:
    """Yield a statement behind what it is about, its further lines below its first."""
    about = f"  {statement.about:<15} "
    style = "" if statement.is_known else YELLOW
    first, *more = _lines(statement.text, max(20, width - len(about)) + 4)
    yield ((about, DIM), (first, style))
    yield from (((" " * len(about), ""), (line, style)) for line in more)


def _estimate(estimate: Estimate) -> str:
    text = f"{estimate.value:.3f}"
    if estimate.low is None or estimate.high is None:
        return text
    return f"{text} ({estimate.low:.2f} to {estimate.high:.2f})"


def _confusion(counts: Confusion) -> Iterator[Line]:
    wide = len(str(max(counts.total, 1000)))
    yield ((f"  {'':17}{'called normal':>15}{'called anomaly':>16}", DIM),)
    yield (
        ("  is normal        ", ""),
        (f"{counts.true_negative:>{wide + 11}}", GREEN),
        (f"{counts.false_positive:>16}", RED if counts.false_positive else ""),
    )
    yield (
        ("  is anomaly       ", ""),
        (f"{counts.false_negative:>{wide + 11}}", RED if counts.false_negative else ""),
        (f"{counts.true_positive:>16}", GREEN),
    )


def _verdicts(run: RunRecord, width: int) -> Iterator[Line]:
    verdicts = run.verdicts.get("evaluation", ())
    if not verdicts:
        return
    yield _plain()
    yield (
        (count_of(len(verdicts), "verdict"), BOLD),
        ("  wrong first, then the least confident", DIM),
    )
    longest = max(len(verdict.name) for verdict in islice(wrong_first(verdicts), ROWS))
    for verdict in islice(wrong_first(verdicts), ROWS):
        yield _verdict(verdict, min(longest, 44, max(12, width - AROUND)))
    if len(verdicts) > ROWS:
        yield ((f"  and {len(verdicts) - ROWS} more", DIM),)
    doubtful = sum(verdict.is_doubtful for verdict in verdicts)
    if doubtful:
        text = f"  {doubtful} of {len(verdicts)} doubtful: confidence under {run.review_below:g}"
        yield ((text, YELLOW),)
    if run.errors:
        head = f"{count_of(len(run.errors), 'image')} got no verdict: "
        yield from _wrap((head, RED), run.errors[0]["message"], width)


def _verdict(verdict: Verdict, width: int) -> Line:
    name = verdict.name if len(verdict.name) <= width else "…" + verdict.name[1 - width :]
    word = "anomaly" if verdict.is_anomalous else "normal"
    word = "person" if verdict.to_person else word
    mark = {True: ("right", GREEN), False: ("WRONG", RED), None: ("", "")}[verdict.correct]
    doubt = ("  doubtful", YELLOW) if verdict.is_doubtful else ("", "")
    if verdict.to_person:  # the confidence is the model's, in what it would say
        mark = ("model: anomaly" if verdict.is_anomalous else "model: normal", "")
    return (
        (f"  {name:<{width}}  ", ""),
        (f"{word:<8}{verdict.confidence:.3f}  ", BOLD if verdict.is_anomalous else ""),
        (f"{mark[0]:<5}", mark[1]),
        doubt,
    )


def _findings(run: RunRecord, width: int) -> Iterator[Line]:
    if not run.findings:
        return
    yield _plain()
    yield ((count_of(len(run.findings), "finding"), BOLD),)
    for finding in run.findings[:3]:
        yield from _wrap((f"{finding.severity}: ", YELLOW), finding.message, width)
    if len(run.findings) > 3:
        yield ((f"  and {len(run.findings) - 3} more in the report", DIM),)


def _wrap(head: Span, text: str, width: int) -> Iterator[Line]:
    """Yield a message behind its head, on as many lines as it takes: a cut one tells too little."""
    title, style = head
    first, *more = _lines(f"{title}{text}", width) or [title]
    yield (("  ", ""), (first[: len(title)], style), (first[len(title) :], ""))
    yield from (_plain(f"    {line}") for line in more)


def _times(timings: Iterable[Timing], width: int) -> Iterator[Line]:
    measured = [(timing.seconds or 0.0, timing.step) for timing in timings]
    total = sum(seconds for seconds, _ in measured)
    longest = sorted((row for row in measured if row[0] >= 0.05), reverse=True)[:4]
    if not longest:
        return
    yield _plain()
    parts = ", ".join(f"{step} {duration(seconds)}" for seconds, step in longest)
    head = f"{duration(total)} of work"
    first, *more = _lines(f"{head}  {parts}", width)
    yield ((head, BOLD), (first[len(head) :], ""))
    yield from (_plain(f"  {line}") for line in more)


def _lines(text: str, width: int) -> list[str]:
    """Return a text as lines that end between words, unless a word is longer than a line."""
    return textwrap.wrap(text, max(width, 20) - 4, break_on_hyphens=False)
