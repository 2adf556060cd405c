"""Which variant of a matrix a command is about, where it can be about one alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lfvpipe.cli import formatting, output
from lfvpipe.cli.usage import UsageError
from lfvpipe.cli.variants import ledger_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lfvpipe.cli.variants import Variant


def find_variant(variants: Sequence[Variant], word: str | None) -> Variant:
    """Return the variant that the user names, else the one whose images were judged last.

    Raises:
        UsageError: None is called so, or several are.
    """
    if word is None:
        return max(variants, key=_when_judged)  # of several that never were, the first
    exact = [each for each in variants if each.name == word]
    found = exact or [each for each in variants if word in each.name]
    if len(found) == 1:
        return found[0]
    several = f"Several variants have {word!r} in their name."
    message = several if found else f"No variant is called {word!r}."
    raise UsageError(message, hint="\n".join(variant_lines(found or variants)))


def variant_lines(variants: Sequence[Variant], marked: Variant | None = None) -> list[str]:
    """Return a line for each variant: its name and when its images were judged."""
    rows = []
    for each in variants:
        when = formatting.when(_when_judged(each)) or "not judged yet"
        rows.append(("*" if each is marked else "", each.name, when))
    return output.table(rows).splitlines()


def _when_judged(variant: Variant) -> str:
    """Return when a variant's images were judged, ISO; empty if they never were."""
    record = ledger_of(variant).standing_record(variant.name, "evaluate")
    return (record.finished or "") if record is not None and record.outcome is not None else ""
