"""Phrases about facts, of which a step makes the line that describes its outcome."""

from __future__ import annotations


def listing(*phrases: str) -> str:
    """Return phrases in one line; those that are empty are left out."""
    return ", ".join(phrase for phrase in phrases if phrase)


def count(name: str, number: int) -> str:
    """Return ``images 96``; empty for none."""
    return f"{name} {number}" if number else ""


def score(name: str, value: float | None) -> str:
    """Return ``F1 0.974``; empty where the score is not known. Zero is known, and bad news."""
    return "" if value is None else f"{name} {value:.3f}"


def count_of(number: int, noun: str) -> str:
    """Return ``1 finding``, or ``2,000 findings``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def doing(number: int, noun: str, verb: str) -> str:
    """Return ``1 image has``, or ``3 images have``; the verb is the plural's."""
    singular = {
        "are": "is",
        "cannot": "cannot",
        "do": "does",
        "have": "has",
        "match": "matches",
        "were": "was",
    }
    return f"{count_of(number, noun)} {singular.get(verb, f'{verb}s') if number == 1 else verb}"


def size(number: float) -> str:
    """Return a number of bytes in decimal units; empty for none."""
    if not number:
        return ""
    for unit in ("B", "kB", "MB", "GB"):
        if number < 1000:
            is_whole = unit == "B" or number >= 100
            return f"{number:.0f} {unit}" if is_whole else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.1f} TB"
