"""The table of step timings, which is put into a page after the run that it was made in ended."""

import re
from collections.abc import Sequence
from html import escape
from pathlib import Path

from lfvpipe import atomic
from lfvpipe.report.durations import duration
from lfvpipe.report.records import Timing

BEGIN, END = "<!--timings-->", "<!--/timings-->"


def timings_table(timings: Sequence[Timing]) -> str:
    """Return the table between marks; texts are escaped, so no text can be taken for a mark."""
    if not timings:
        return f'{BEGIN}<p class="quiet">Nobody measured this run.</p>{END}'
    longest = max((timing.seconds or 0.0) for timing in timings) or 1.0
    rows = "".join(_row(timing, longest) for timing in timings)
    head = "<tr><th scope=col>Step</th><th scope=col>What it did</th><th scope=col>Time</th></tr>"
    table = f"<table class=timings><thead>{head}</thead><tbody>{rows}</tbody></table>"
    return f"{BEGIN}{table}{END}"


def put_timings(page: Path, timings: Sequence[Timing]) -> None:
    """Replace the table in a page that is there; the rest of it stays."""
    if not page.is_file():
        return
    text = page.read_text(encoding="utf-8")
    fresh = timings_table(timings)
    replaced = re.sub(f"{BEGIN}.*?{END}", lambda _: fresh, text, count=1, flags=re.DOTALL)
    atomic.write_text(page, replaced)


def _row(timing: Timing, longest: float) -> str:
    share = (timing.seconds or 0.0) / longest
    said = "" if timing.seconds is None else duration(timing.seconds)
    shape = 'class="share" viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true"'
    bar = f'<svg {shape}><rect width="{100 * share:.1f}" height="6"/></svg>'
    return (
        f"<tr><th scope=row>{escape(timing.step)}</th><td>{escape(timing.word)}</td>"
        f"<td>{escape(said)}{bar}</td></tr>"
    )
