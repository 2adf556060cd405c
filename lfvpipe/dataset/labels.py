"""The labels file: what people decided about single images; JSON Lines, one decision a line.

``{"name": "good/3.png", "source": "normal", "sha256": "…", "label": "anomaly", "was": "normal",
"who": "Ana", "when": "2026-01-31T12:00:00Z"}``, and for a painted mask ``"mask"``, the path of a
PNG relative to the labels file, and ``"classes"``, its colours by anomaly type. Only `name` and
`label` are needed. Of an image's lines the last one counts; a null label withdraws what the same
person decided before. ``"type"`` is that of the defect, ``"comment"`` is for people.

``"split"``, ``train`` or ``test``, says where an image goes that neither has. With it a line can
add an image that no source has: ``"source"`` is ``files`` then, and `name` a file in the folder of
images beside the labels file. What a later line leaves open an earlier one says.

Empty lines and lines that begin with ``#`` say nothing.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

from lfvpipe.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from lfvpipe.config.spec import Label

Choice = Literal["normal", "anomaly", "unsure", "exclude"]
CHOICES: tuple[Choice, ...] = get_args(Choice)
Part = Literal["train", "test"]
PARTS: tuple[Part, ...] = get_args(Part)
Key = tuple[str | None, str]  # source, member

_TEXTS = ("source", "sha256", "who", "when", "was", "mask", "type", "comment")


class LabelsError(UserError):
    """The labels file cannot be used."""


@dataclass(frozen=True)
class Decision:
    """What one person decided about one image.

    Attributes:
        name: The image's name in its source: an archive's member, a path, an S3 URI.
        label: What the image is; None withdraws what this person decided before.
        source: As in the index; None stands for whichever source has an image of that name.
        sha256: The digest of the image's file as it lies in its source, before it is prepared.
        who: The person.
        when: UTC, ISO 8601.
        was: The label that the person saw.
        mask: A PNG, relative to the labels file's folder.
        classes: The mask's colours (``#RRGGBB``) by anomaly type.
        type: The type of the defect.
        comment: What the person wants others to know.
        split: Where the image goes, if neither dataset has it.
    """

    name: str
    label: Choice | None
    source: str | None = None
    sha256: str | None = None
    who: str = ""
    when: str = ""
    was: str | None = None
    mask: str | None = None
    classes: Mapping[str, str] | None = None
    type: str | None = None
    comment: str | None = None
    split: Part | None = None

    @property
    def key(self) -> Key:
        """What tells one image from another."""
        return self.source, self.name

    def as_line(self) -> str:
        """Return the decision as a line of the file, without the line's end."""
        members = {name: value for name, value in vars(self).items() if value not in (None, "")}
        return json.dumps({**members, "label": self.label}, ensure_ascii=False)


@dataclass
class Standing:
    """What is decided about one image.

    Attributes:
        number: How many lines stand before the one that counts.
        latest: Each person's latest decision; in the order in which they were made.
        split: Where the image goes, if neither dataset has it: the last line that says so counts.
        sha256: The digest of its file, by the last line that says it.
    """

    number: int = 0
    latest: dict[str, Decision] = field(default_factory=dict)
    split: Part | None = None
    sha256: str | None = None

    @property
    def decision(self) -> Decision | None:
        """The decision that counts: the last one that is not withdrawn."""
        made = self.made
        return made[-1] if made else None

    @property
    def made(self) -> Sequence[Decision]:
        """Each person's latest decision, withdrawn ones left out."""
        return [decision for decision in self.latest.values() if decision.label]

    @property
    def is_conflict(self) -> bool:
        """Whether people differ about the label."""
        return len({decision.label for decision in self.made}) > 1

    def add(self, number: int, decision: Decision) -> None:
        """Take a further line into account."""
        self.number = number
        self.split = decision.split or self.split
        self.sha256 = decision.sha256 or self.sha256
        self.latest.pop(decision.who, None)
        self.latest[decision.who] = decision


def read_decisions(file: Path) -> list[Decision]:
    """Return the decisions of a labels file in its order; none if it is not there.

    A last line that a kill cut short was never acknowledged, and is passed over.

    Raises:
        LabelsError: A line is no decision.
    """
    try:
        data = file.read_bytes()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise LabelsError(f"{file}: cannot be read ({error.strerror}).") from error
    return list(_decisions(file, data))


def _decisions(file: Path, data: bytes) -> Iterator[Decision]:
    lines = data.split(b"\n")
    for number, line in enumerate(lines, start=1):
        text = line.strip()
        if not text or text.startswith(b"#"):
            continue
        try:
            yield parse_decision(json.loads(text))
        except (ValueError, RecursionError) as error:
            if number == len(lines) and not text.endswith(b"}"):
                return  # cut short by a kill
            no_json = isinstance(error, json.JSONDecodeError | UnicodeDecodeError | RecursionError)
            raise LabelsError(
                f"{file}:{number}: {'this is not JSON' if no_json else error}.",
                hint="Mend the line, or take it out.",
            ) from None


def parse_decision(line: Any) -> Decision:
    """Return the decision that a line holds.

    Raises:
        ValueError: It holds none; the message says why.
    """
    if not isinstance(line, dict) or not isinstance(line.get("name"), str) or not line["name"]:
        raise ValueError('a decision is {"name": an image, "label": …}')
    try:
        json.dumps(line, ensure_ascii=False).encode()
    except UnicodeEncodeError:  # JSON can spell what no file name and no answer to a page can hold
        raise ValueError("a text holds half a surrogate pair, which is no character") from None
    if any("\0" in text for text in line.values() if isinstance(text, str)):
        raise ValueError("a text holds a NUL, which no name does")
    texts = {name: line.get(name) for name in _TEXTS}
    if wrong := [name for name, text in texts.items() if not isinstance(text, str | None)]:
        raise ValueError(f"{wrong[0]} is not a text")
    if "label" not in line or line["label"] not in (*CHOICES, None):
        raise ValueError(f"label is not one of {', '.join(CHOICES)}, null")
    split = line.get("split")
    if split not in (*PARTS, None):
        raise ValueError(f"split is not one of {', '.join(PARTS)}")
    known = {name: text for name, text in texts.items() if text is not None}
    label = cast("Choice | None", line["label"])
    return Decision(name=line["name"], label=label, split=split, classes=_classes(line), **known)


def _classes(line: Mapping[str, Any]) -> Mapping[str, str] | None:
    classes = line.get("classes")
    if classes is None:
        return None
    if not isinstance(classes, dict) or not all(map(_is_colour, classes.values())):
        raise ValueError("classes does not map anomaly types to colours such as #23A436")
    return {name: colour.upper() for name, colour in sorted(classes.items())}


def _is_colour(colour: object) -> bool:
    digits = colour[1:] if isinstance(colour, str) and colour[:1] == "#" else ""
    return len(digits) == 6 and set(digits) <= set("0123456789abcdefABCDEF")


def standings(decisions: Iterable[Decision]) -> dict[Key, Standing]:
    """Return what is decided about each image that the decisions name."""
    found: dict[Key, Standing] = {}
    for number, decision in enumerate(decisions):
        found.setdefault(decision.key, Standing()).add(number, decision)
    return found


def images_folder(labels: Path) -> Path:
    """Return the folder of the images that a labels file adds to the sources."""
    return labels.with_name(f"{labels.stem}-images")


def label_of(choice: Choice | None) -> Label | None:
    """Return the label that a choice gives; None for unsure, exclude and withdrawn."""
    return choice if choice in ("normal", "anomaly") else None
