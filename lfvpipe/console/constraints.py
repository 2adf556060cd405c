"""What the API says of a value that it does not take, in words: its own are for programs."""

from __future__ import annotations

import re
from typing import Final

from lfvpipe.console.wording import say, texts

_PROBLEM: Final = re.compile(
    r"at '(?P<path>[A-Za-z0-9.]+)' failed to satisfy constraint: Member must (?:"
    r"satisfy regular expression pattern: (?P<pattern>.+?)"
    r"|have length less than or equal to (?P<most>\d+)"
    r"|have length greater than or equal to (?P<least>\d+))(?=; Value |$)",
    re.DOTALL,
)
_TOO_SHORT: Final = re.compile(
    r"Invalid length for parameter (?P<path>[A-Za-z0-9.\[\]]+), value: \d+, "
    r"valid min length: (?P<least>\d+)"
)
_SIGNS: Final = {
    r"[a-zA-Z0-9][a-zA-Z0-9_\-]*": "name",
    r"[0-9A-Za-z\.\-_]*": "dotted",
    r"[a-zA-Z0-9-_. ()':,;?]+": "prose",
    r"[a-zA-Z0-9-_.]+": "dotted",
    r"[a-zA-Z0-9-]+": "plain",
    r"^([0-9]{1,6})\.([0-9]{1,6})\.([0-9]{1,6})$": "version",
    r"([1-9][0-9]*|latest)": "number",
    r"([1-9][0-9]*)": "number",
    r"^([a-zA-Z0-9!_.*'()-][/a-zA-Z0-9!_.*'()-]*)?$": "key",
    r"^([\p{L}\p{Z}\p{N}_.:/=+\-@]*)$": "tag",
}
"""What may be in a value, by the pattern that the API holds it against."""


def in_words(message: str) -> str | None:
    """Return what is allowed, for a message that tells patterns and lengths; None for another."""
    told = re.match(r"(\d+) validation errors? detected: ", message)
    found = list((_PROBLEM if told else _TOO_SHORT).finditer(message))
    if not found or (told and int(told[1]) != len(found)):
        return None
    return " ".join(dict.fromkeys(map(_say_one, found)))


def _say_one(problem: re.Match[str]) -> str:
    said = problem.groupdict()
    parts = [each for each in re.split(r"[.\[\]]+", said["path"]) if each not in ("", "member")]
    named = [each for each in parts if not each.isdigit()]
    field = f"constraints.field_{named[-1].lower()}"
    what = say(field if field in texts() else "constraints.field")
    if said.get("pattern"):
        signs = _SIGNS.get(said["pattern"], "other")
        return say(f"constraints.signs_{signs}", what=what)
    if said.get("most"):
        return say("constraints.most", what=what, count=int(said["most"]))
    return say("constraints.least", what=what, count=int(said["least"]))
