"""What a line's attributes call its image: one rule for exported manifests and for the service.

Labelling jobs can be chained: a second one checks or corrects the first, and each leaves an
attribute of its own on the line. The newest by creation date counts. A label is an attribute of
type ``groundtruth/image-classification``, or of none; those of other tasks (label verification,
say) have class names, too, that say nothing about the image. What a model detected, as an
EvaluationManifest has it, is no label either.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Final

from lfvpipe.manifest.evaluation import DETECTED

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lfvpipe.config.spec import Label
    from lfvpipe.manifest.lines import Classification, Line

_LABELS: Mapping[str, Label] = {"normal": "normal", "anomaly": "anomaly"}
_TASK: Final = "image-classification"
_LONG_AGO: Final = float("-inf")

# A browser's Date as text, which AWS's own getting-started manifest has:
# Mon Aug 22 2022 13:52:52 GMT-0700 (Pacific Daylight Time)
_MONTHS: Final = {
    name: number
    for number, name in enumerate(re.findall("...", "JanFebMarAprMayJunJulAugSepOctNovDec"), 1)
}
_BROWSER_DATE: Final = re.compile(
    rf"(?:[A-Z][a-z]{{2}} )?({'|'.join(_MONTHS)}) (\d\d?) (\d{{4}}) (\d\d):(\d\d):(\d\d)"
    r"(?: (?:GMT|UTC)?(?:([+-])(\d\d):?(\d\d))?)?(?: ?\(.*\))?",
    re.ASCII,
)


@dataclass(frozen=True)
class LabelRules:
    """How the labels of a manifest are to be read.

    Attributes:
        attribute: The one whose label counts, of whatever type; None for the newest.
        words: What class names stand for beside ``normal`` and ``anomaly``, folded by `fold`.
    """

    attribute: str | None = None
    words: Mapping[str, Label] = field(default_factory=dict)


@dataclass(frozen=True)
class GivenLabel:
    """The label of a line.

    Attributes:
        label: None where the line has none that is understood.
        class_name: As written, without the blanks around it; "" where there is none.
        created: When it was given, in epoch seconds; None where that is not said or not readable.
        overruled: The attributes that label the image otherwise, and are not newer.
        is_guess: Whether no date tells that the label is newer than those that it overrules.
        attribute: Whose label it is; "" where there is none.
        defect: The type of the defect that lfvpipe wrote beside the label; "" for none.
    """

    label: Label | None = None
    class_name: str = ""
    created: float | None = None
    overruled: tuple[str, ...] = ()
    is_guess: bool = False
    attribute: str = ""
    defect: str = ""

    @property
    def type(self) -> str:
        """The type of the defect: a class name that stands for anomaly, and says more than that."""
        if self.label == "anomaly" and self.defect:
            return self.defect
        says_more = self.label == "anomaly" and fold(self.class_name) != "anomaly"
        return self.class_name if says_more else ""


_EVERY_RULE = LabelRules()


def given_label(line: Line, rules: LabelRules = _EVERY_RULE) -> GivenLabel:
    """Return what `line` calls its image: the newest label, the first of equally new ones."""
    if rules.attribute is not None:
        found = [each for each in line.classifications if each.attribute == rules.attribute]
    else:
        found = [each for each in line.classifications if is_label(each)]
    if not found:
        return GivenLabel()
    moments = [epoch_of(each.created) for each in found]
    ages = [_LONG_AGO if moment is None else moment for moment in moments]
    chosen = ages.index(max(ages))
    label = _label(found[chosen], rules)
    others = [number for number, each in enumerate(found) if _label(each, rules) != label]
    return GivenLabel(
        label=label,
        class_name=found[chosen].class_name.strip(),
        created=moments[chosen],
        overruled=tuple(found[number].attribute for number in others),
        is_guess=any(moments[n] is None or ages[n] == ages[chosen] for n in others),
        attribute=found[chosen].attribute,
        defect=found[chosen].defect,
    )


def fold(class_name: str) -> str:
    """Return a class name as it is compared: neither blanks around it nor capitals matter.

    The guide does not say whether the service minded capitals, but one of AWS's own sample files
    says ``Anomaly``, and its author certainly meant it.
    """
    return class_name.strip().casefold()


def is_label(each: Classification) -> bool:
    """Say whether a classification labels the image, rather than telling something else of it."""
    return not each.attribute.endswith(DETECTED) and (
        not each.type or _TASK in each.type.casefold()
    )


def _label(each: Classification, rules: LabelRules) -> Label | None:
    name = fold(each.class_name)
    return rules.words.get(name) or _LABELS.get(name)


def epoch_of(text: str | None) -> float | None:
    """Read a date, ISO 8601 (in UTC where it has no zone) or a browser's, in epoch seconds.

    Other spellings, which real files have, count as none.
    """
    try:
        moment = datetime.fromisoformat(text or "")
    except ValueError:
        browser = _BROWSER_DATE.fullmatch(text or "")
        if browser is None:
            return None
        month, day, year, hour, minute, second, sign, hours, minutes = browser.groups()
        east = timedelta(hours=int(hours or 0), minutes=int(minutes or 0))
        zone = timezone(-east if sign == "-" else east) if east < timedelta(days=1) else UTC
        clock = int(hour), int(minute), int(second)
        try:
            moment = datetime(int(year), _MONTHS[month], int(day), *clock, tzinfo=zone)
        except ValueError:
            return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


@dataclass
class LabelTally:
    """What was noticed of the labels of a manifest's lines.

    Attributes:
        unknown: Lines by a class name that stands for no label.
        bare: How many lines have no label attribute.
        others: Lines without a label, by the attributes of theirs that have a class name.
        differing: Lines on which an older attribute labels the image otherwise.
        overruled: These lines, by such attributes.
        guesses: Lines on which labels differ and no date tells which is newer.
        passed_over: These lines, by the attributes that do not count.
    """

    unknown: Counter[str] = field(default_factory=Counter)
    bare: int = 0
    others: Counter[str] = field(default_factory=Counter)
    differing: int = 0
    overruled: Counter[str] = field(default_factory=Counter)
    guesses: int = 0
    passed_over: Counter[str] = field(default_factory=Counter)

    def add(self, given: GivenLabel, classifications: Sequence[Classification]) -> None:
        """Count a line's label, of all that call the image something."""
        if not given.attribute:
            self.bare += 1
            self.others.update(each.attribute for each in classifications)
        elif given.label is None:
            self.unknown[given.class_name] += 1
        # A line is of one kind: counted as both, what is said of it would contradict itself.
        if given.is_guess:
            self.guesses += 1
            self.passed_over.update(given.overruled)
        elif given.overruled:
            self.differing += 1
            self.overruled.update(given.overruled)


def counted_names(counts: Counter[str], most: int = 5) -> str:
    """Return names with their counts as people write them: ``good (20), dent (4) and 2 more``."""
    common = counts.most_common(most)
    shown = ", ".join(f"{name[:60] or 'an empty one'} ({count})" for name, count in common)
    more = len(counts) - len(common)
    return f"{shown} and {more} more" if more > 0 else shown
