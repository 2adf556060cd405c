"""What an image is called, as people choose it and as pages spell it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from lfvpipe.console.wording import say
from lfvpipe.dataset.words import meaning_of
from lfvpipe.errors import UserError

if TYPE_CHECKING:
    from lfvpipe.config.spec import Label
    from lfvpipe.service.images import DatasetImage

MOST_CHARACTERS: Final = 100
NO_TYPES: Final = ("normal", "anomaly", "background")
"""Names that no anomaly type has, in any case of letters."""
"""Of an anomaly type, as the API allows in labels."""
_LABELS: Final[dict[str, Label | None]] = {"normal": "normal", "anomaly": "anomaly", "": None}


class NoCall(UserError):
    """A text that calls an image nothing."""


@dataclass(frozen=True)
class Call:
    """What an image is called.

    Attributes:
        label: None where it is not labelled.
        type: The anomaly's; "" where it is not told.
    """

    label: Label | None
    type: str = ""

    @classmethod
    def read(cls, text: str) -> Self:
        """Return the call that a text spells: ````, ``normal``, ``anomaly`` or ``anomaly:TYPE``.

        Raises:
            NoCall: It spells none.
        """
        label, _, name = text.partition(":")
        if label not in _LABELS or (name and label != "anomaly"):
            raise NoCall(say("refusals.no_call"))
        return cls(_LABELS[label], read_type(name) if name else "")

    def fits(self, image: DatasetImage) -> bool:
        """Say whether an image is called so already; an anomaly of any type is an anomaly."""
        if self.label == "anomaly" and not self.type:
            return image.label == "anomaly"
        return self == call_of(image)

    def __str__(self) -> str:
        return f"{self.label or ''}:{self.type}" if self.type else self.label or ""


def call_of(image: DatasetImage) -> Call:
    """Return what an image is called; of a mask's types all."""
    label = _LABELS.get(image.label or "")
    return Call(label, ", ".join(image.types))


def read_type(text: str) -> str:
    """Return an anomaly type as it is kept.

    Raises:
        NoCall: It is no name.
    """
    name = " ".join(text.split())
    if not name or len(name) > MOST_CHARACTERS:
        raise NoCall(say("refusals.no_type", most=MOST_CHARACTERS))
    if unseen := next((sign for sign in name if not sign.isprintable()), ""):
        raise NoCall(say("refusals.unseen_sign", code=f"U+{ord(unseen):04X}"))
    if name.casefold() in NO_TYPES:
        raise NoCall(say("refusals.type_is_label", name=name))
    return name


def call_by_folder(path: str) -> Call:
    """Return what the folders of a path call an image: ``good/1.png``, ``anomaly/dent/1.png``.

    The words are those that pipelines know. The folder below that of anomalies names their type.
    """
    return read_folders(path)[0]


def read_folders(path: str) -> tuple[Call, str]:
    """Return what the folders of a path call an image; and why a type is not taken, "" for none."""
    folders = path.replace("\\", "/").split("/")[:-1]
    for number, folder in enumerate(folders):
        meaning = meaning_of(folder)
        if meaning == "normal":
            return Call("normal"), ""
        if meaning == "anomaly":
            below = folders[number + 1 : number + 2]
            try:
                return Call("anomaly", read_type(below[0]) if below else ""), ""
            except NoCall as error:
                return Call("anomaly"), error.message
    return Call(None), ""


def name_call(call: Call) -> str:
    """Return what an image is called, in words; of anomalies without their type."""
    return say(f"datasets.called_{call.label or ''}")
