"""Tells from names which photographs may show one part, where nobody said it."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from lfvpipe.config.spec import LABELS
from lfvpipe.dataset.checks.findings import Finding, warning
from lfvpipe.dataset.words import MEANINGS, is_defect_type, meaning_of, simplify

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence, Set

    from lfvpipe.dataset.candidates import Candidate
    from lfvpipe.dataset.selection import Split

# How a name is made up, with what is behind the part, and the expression that finds the part: a
# number in front (SN12_top.png), all but what is behind the last dash (7-A-003_2.png), the folder
# (SN7000/2.png), the one above the folder of a label (SN7000/ok/2.png).
_ABOVE_LABEL = r"(?:^|/)([^/]*\d\d[^/]*)/([^/]+)/[^/]+$"
_PATTERNS = {
    r"(?:^|/)([A-Za-z]*\d+)[_-]([A-Za-z0-9]{1,8})\.[^./]+$": (
        r"(?:^|/)([A-Za-z]*\d+)[_-][A-Za-z0-9]{1,8}\.[^./]+$"
    ),
    r"(?:^|/)([^/]*\d[^/]*)[_-]([^/_-]+)\.[^./]+$": r"(?:^|/)([^/]*\d[^/]*)[_-][^/_-]+$",
    r"(?:^|/)([^/]*\d\d[^/]*)/([^/]+)\.[^./]+$": r"(?:^|/)([^/]*\d\d[^/]*)/[^/]+$",
    _ABOVE_LABEL: r"(?:^|/)([^/]*\d\d[^/]*)/[^/]+/[^/]+$",
}
_LEAST_PARTS = 5  # fewer may be cameras, days or types that happen to be numbered
_MOST_PHOTOGRAPHS = 20  # of one part; more are a series
_COVERED = 0.9  # of the names: some images may be called otherwise
_DATE = re.compile(
    r"(?<!\d)(?:19|20)\d\d(?:[-_.]?(?:0[1-9]|1[0-2])[-_.]?(?:[0-2]\d|3[01])|[-_.](?:0\d|1[0-2])(?!\d))"
)
# Beside a number they name what many parts have in common.
_SHARED_TEXT = (
    "type class typ klasse defect fehler camera cam kamera day tag batch charge lot los session exp"
    " experiment fold set week woche month year shift schicht line linie station scan"
)
_SHARED = frozenset(_SHARED_TEXT.split())


def suggest_group(names: Sequence[str], types: Set[str] = frozenset()) -> str:
    """Return an expression for `split.group` that finds what photographs of one part share.

    ``SN0012_top.png`` and ``SN0012_side.png`` show one part. At least five parts, most of them with
    several photographs, and none with more than twenty; no dates, cameras, batches, and no numbers
    that merely stand in front of the word for good or defective.

    Args:
        names: Of all images of a product, folders included.
        types: Names that are those of types of defects.

    Returns:
        The expression; "" where nothing looks like parts.
    """
    for pattern, suggestion in _PATTERNS.items():
        matches = [match for name in names if (match := re.search(pattern, name))]
        is_above = pattern == _ABOVE_LABEL
        if is_above and not all(map(_says_label, {match[2] for match in matches})):
            continue
        counts = Counter(match[1] for match in matches)
        endings = {MEANINGS.get(simplify(match[2])) for match in matches}
        several = sum(count > 1 for count in counts.values())
        if (
            len(matches) >= _COVERED * len(names)
            and len(counts) >= _LEAST_PARTS
            and max(counts.values()) <= _MOST_PHOTOGRAPHS
            and several * 2 > len(counts)
            and (is_above or None in endings)
            and sum(map(_is_serial, counts)) * 2 > len(counts)
            and types.isdisjoint(counts)
        ):
            return suggestion
    return ""


def _says_label(folder: str) -> bool:
    return meaning_of(folder) in LABELS or is_defect_type(folder)


def _is_serial(text: str) -> bool:
    words = re.findall(r"[^\W\d_]+", text.casefold())
    return _DATE.search(text) is None and _SHARED.isdisjoint(words)


def part_findings(
    divided: Sequence[tuple[Candidate, Split]], *, is_single: bool, remedy: str
) -> Iterator[Finding]:
    """Yield a warning where parts, as names tell them, lie on both sides of a split.

    Args:
        divided: The images with the side of each.
        is_single: Whether the service is to divide them, image by image.
        remedy: What to do; what to write stands in place of GROUP in it.
    """
    sided = [(each.name, part, each.id) for each, part in divided if part in ("train", "test")]
    types = {each.type for each, _ in divided if each.type}
    pattern = suggest_group([name for name, *_ in sided], types)
    if not pattern:
        return
    sides: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for name, part, identity in sided:
        if match := re.search(pattern, name):
            sides[match[1]].append((part, identity))
    shared = sorted(
        group
        for group, of_group in sides.items()
        if len({part for part, _ in of_group}) > 1 or (is_single and len(of_group) > 1)
    )
    if not shared:
        return
    (_, first), *_, (_, last) = sorted(sides[shared[0]], reverse=True)
    lie = (
        "may get into train and test, where the service divides them"
        if is_single
        else f"{'is' if len(shared) == 1 else 'are'} in train and in test"
    )
    text = (
        f"By their names, several photographs show one part, and {len(shared)} of {len(sides)} such"
        f" parts {lie}: {shared[0]} by {first} and {last}. The metrics then flatter the model"
    )
    quoted = "'" + pattern.replace("'", "''") + "'"
    advice = remedy.replace("GROUP", f"group: {quoted}")
    yield warning("parts-in-both", f"{text}. If they are parts, {advice}", shared)
