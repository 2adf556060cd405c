"""What the page shows and is told: images to look at, pictures, decisions."""

from __future__ import annotations

import base64
import hashlib
import re
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lfvpipe import atomic
from lfvpipe.dataset.labels import CHOICES, PARTS, Decision, label_of
from lfvpipe.engine.phrases import listing
from lfvpipe.errors import UserError
from lfvpipe.painting import NoPainting, mask_from_painting, see_through
from lfvpipe.report.heat_colours import ramp
from lfvpipe.review.detected import PhotographGone, Photographs, read
from lfvpipe.review.pictures import thumbnail

if TYPE_CHECKING:
    from collections.abc import Callable

    from lfvpipe.dataset.book import Book
    from lfvpipe.dataset.labels import Standing
    from lfvpipe.review.pictures import Drawing, Pictures
    from lfvpipe.review.queue import Item, Queue

DEFAULT_CLASSES = {"anomaly": "#23A436"}
MAX_NAME = 100
MAX_COMMENT = 2000
MAX_AT_ONCE = 10_000  # images of one decision
MOST_SMALL = 1000  # of some 10 kB


class BadRequest(UserError):
    """The page asked for something that is not there, or said something that makes no sense."""


@dataclass(frozen=True)
class Review:
    """One review: the images, and the book that decisions go into.

    Attributes:
        state_dir: What the index's paths are relative to.
        pictures: Draws heat maps; None where there is no model file.
        who: The person that the page suggests.
        title: What the page is called.
        advice: What is still to be done before runs take notice of the decisions; "" for nothing.
        photographs: Reads images that were detected; None where there are none of these.
        folder: What names of files in the labels file are relative to.
        tests: Whether there is a test dataset that an image can go to.
    """

    queue: Queue
    book: Book
    state_dir: Path
    pictures: Pictures | None
    who: str
    title: str
    advice: str = ""
    photographs: Photographs | None = None
    folder: Path = Path()
    tests: bool = True

    @property
    def classes(self) -> dict[str, str]:
        """The colours to paint with, by anomaly type; one where the data have no masks."""
        return dict(self.queue.classes) or DEFAULT_CLASSES

    def state(self) -> dict[str, Any]:
        """Return what the page shows whatever the image."""
        standings = self._standings()
        return {
            "title": self.title,
            "file": self.book.file.name,
            "who": self.who,
            "total": len(standings),
            "decided": sum(standing.decision is not None for standing in standings),
            "outlook": _outlook(Counter(map(_fate, self.queue.items, standings))),
            "advice": self.advice,
            "conflicts": sum(standing.is_conflict for standing in standings),
            "can_undo": self.book.can_undo,
            "heat": self.pictures is not None,
            "ramp": ramp(),
            "paints": bool(self.queue.classes),
            "classes": self.classes,
            "review_below": self.queue.review_below,
            "of_training": self.queue.of_training,
            "of_detected": self.queue.of_detected,
            "lost": self.queue.lost,
            "tests": self.tests,
            "references": len(self.queue.normal),
            "types": sorted(
                {name for item in self.queue.items for name in item.image.types}
                | {each.type for standing in standings for each in standing.made if each.type}
            ),
        }

    def numbers(self, name: str) -> dict[str, Any]:
        """Return the numbers of the images that a filter leaves, in order."""
        keeps: dict[str, Callable[[Item, Standing], bool]] = {
            "todo": lambda _, standing: standing.decision is None,
            "all": lambda *_: True,
            "decided": lambda _, standing: standing.decision is not None,
            "conflicts": lambda _, standing: standing.is_conflict,
            "wrong": lambda item, _: item.is_wrong,
            "doubtful": lambda item, _: item.is_doubtful(self.queue.review_below),
        }
        keep = keeps.get(name)
        if keep is None:
            raise BadRequest("There is no such filter.")
        pairs = zip(self.queue.items, self._standings(), strict=True)
        kept = [(n, *pair) for n, pair in enumerate(pairs) if keep(*pair)]
        return {
            "items": [n for n, _, _ in kept],
            "tiles": [_tile(item, standing) for _, item, standing in kept],
        }

    def _standings(self) -> list[Standing]:
        return self.book.of_all(item.key for item in self.queue.items)

    def _check_number(self, n: object) -> int:
        if type(n) is not int or not 0 <= n < len(self.queue.items):
            raise BadRequest("There is no such image.")
        return n

    def item(self, n: int) -> dict[str, Any]:
        """Return what the page shows of image `n`."""
        item = self.queue.items[self._check_number(n)]
        image, verdict, standing = item.image, item.verdict, self.book.of(item.key)
        decision = standing.decision
        said = None
        if verdict is not None:
            label = "anomaly" if verdict.is_anomalous else "normal"
            said = {
                "label": label,
                "confidence": verdict.confidence,
                "wrong": item.is_wrong,
                "to_person": verdict.to_person,
                "unlike": verdict.unlikeness is not None,
            }
        return {
            "n": n,
            "name": item.name,
            "source": image.source,
            "split": "detected" if item.file else image.split,
            "goes": _part(item, standing),
            "when": item.when,
            "label": image.label,
            "types": list(image.types),
            "width": image.width,
            "height": image.height,
            "said": said,
            "decision": None if decision is None else _decision_json(decision),
            "made": [_decision_json(each) for each in standing.made],
            "conflict": standing.is_conflict,
            "alike": [{"name": name, "label": label} for name, label in item.alike],
            "mask": image.mask is not None or bool(decision and decision.mask),
        }

    def decide(self, data: dict[str, Any]) -> dict[str, Any]:
        """Save what a person says of an image ``n``, or of several, ``ns``, at once.

        Args:
            data: ``label`` and ``who``; where they are said, ``mask``, a PNG in base 64 of the one
                image; ``type``, of the defect; ``comment``; ``split``, where the image goes if
                neither dataset has it.
        """
        asked = data["ns"] if isinstance(data.get("ns"), list) else [data.get("n")]
        if not 0 < len(asked) <= MAX_AT_ONCE:
            raise BadRequest("There is no such image.")
        numbers = list(dict.fromkeys(map(self._check_number, asked)))
        label, split = data.get("label"), data.get("split")
        if label not in CHOICES:
            raise BadRequest("There is no such label.")
        if split not in (*PARTS, None) or (split == "test" and not self.tests):
            raise BadRequest("There is no such dataset.")
        who = data.get("who")
        if not isinstance(who, str) or not who.strip() or not who.isprintable():
            raise BadRequest("Say who you are.")
        if len(who) > MAX_NAME:
            raise BadRequest("Say who you are.")
        kind = _text(data, "type", MAX_NAME) if label == "anomaly" else None
        comment = _text(data, "comment", MAX_COMMENT)
        painted = data.get("mask") if len(numbers) == 1 else None
        made = []
        for n in numbers:
            item = self.queue.items[n]
            mask = self._save_mask(item, painted) if label == "anomaly" else None
            is_added = item.file is not None and label_of(label) is not None
            if is_added:
                self._copy(item)
            made.append(
                Decision(
                    name=item.image.member,
                    label=label,
                    source=item.image.source,
                    sha256=item.origin,
                    who=who.strip(),
                    was=item.image.label,
                    mask=mask,
                    classes=self.classes if mask else None,
                    type=kind,
                    comment=comment,
                    split=split or ("train" if is_added else None),
                )
            )
        self.book.add(*made)
        return {"item": self.item(numbers[0]), "state": self.state()}

    def _copy(self, item: Item) -> None:
        """Copy a detected image to the place beside the labels file that its name says.

        The user may clear the folder that it lies in, and what the service keeps is bounded.
        """
        place = self.folder / item.image.member
        try:
            data = read(item)
            if not place.is_file():
                atomic.write_bytes(place, data)
        except PhotographGone as error:
            raise BadRequest(f"{error.message} Nothing was saved.") from error
        except OSError as error:
            hint = "The decision was not saved. Make room or give write access, then decide again."
            message = f"{place}: cannot be written ({error.strerror})."
            raise UserError(message, hint=hint) from error

    def undo(self, _: dict[str, Any]) -> dict[str, Any]:
        """Take back what this session decided last; ``n`` is null if there is nothing."""
        undone = self.book.undo()
        keys = {item.key: n for n, item in enumerate(self.queue.items)}
        n = keys.get((undone[0].source or "", undone[0].name)) if undone else None
        return {"n": n, "count": len(undone), "state": self.state()}

    @cached_property
    def _masks(self) -> Path:
        return self.book.file.with_name(f"{self.book.file.stem}-masks")

    def _save_mask(self, item: Item, text: object) -> str | None:
        """Save a painted mask beside the labels file, and return its path relative to that."""
        if text is None:
            before = self.book.of(item.key).decision
            return before.mask if before else None
        try:
            data = base64.b64decode(str(text), validate=True)
        except ValueError:
            raise BadRequest("The mask is not base 64.") from None
        size = item.image.width, item.image.height
        try:
            mask = mask_from_painting(data, size, self.classes)
        except NoPainting as error:
            raise BadRequest(error.message) from error
        if mask is None:
            return None
        name = re.sub(r"[^A-Za-z0-9._-]+", "-", item.image.member)[-80:].lstrip(".-")
        digest = hashlib.sha256(mask).hexdigest()[:12]
        path = self._masks / f"{name.rpartition('.')[0] or name}-{digest}.png"
        atomic.write_bytes(path, mask)
        return path.relative_to(self.book.file.parent).as_posix()

    def picture(self, kind: str, n: int) -> bytes:
        """Return a picture of image `n`: image, heat, mask (known or painted) or found."""
        if kind == "reference":
            if not 0 <= n < len(self.queue.normal):
                raise BadRequest("There is no such image.")
            return self._file(self.queue.normal[n].path)
        item = self.queue.items[self._check_number(n)]
        if kind == "image":
            return self._image(item)
        if kind == "small":
            return self._small(item)
        if kind == "mask":
            return self._mask_of(item)
        if kind in ("heat", "found"):
            drawing = self._drawing_of(item)
            data = drawing.heat if kind == "heat" else drawing.mask
            if data is not None:
                return data
        raise BadRequest("There is no such picture.")

    def _drawing_of(self, item: Item) -> Drawing:
        if self.pictures is None:
            raise BadRequest("There is no model file to draw with.")
        image = self._image(item) if item.file else self.state_dir / item.image.path
        return self.pictures.of(image, item.image.sha256)

    def _small(self, item: Item) -> bytes:
        name = item.image.sha256
        if name not in self._smalls:
            self._smalls[name] = thumbnail(self._image(item))
            if len(self._smalls) > MOST_SMALL:
                self._smalls.pop(next(iter(self._smalls)), None)
        return self._smalls[name]

    @cached_property
    def _smalls(self) -> dict[str, bytes]:
        return {}

    def _image(self, item: Item) -> bytes:
        if item.file is None:
            return self._file(item.image.path)
        if self.photographs is None:
            raise BadRequest("The image is not there any more.")
        return self.photographs.prepared(item)

    def _mask_of(self, item: Item) -> bytes:
        decision = self.book.of(item.key).decision
        if decision and decision.mask:
            # The labels file may come from somebody else: it names masks beside it, nothing else.
            path = (self.book.file.parent / decision.mask).resolve()
            if path.is_relative_to(self._masks.resolve()) and path.is_file():
                return see_through(path.read_bytes())
        if item.image.mask is None:
            raise BadRequest("There is no mask.")
        return see_through(self._file(item.image.mask.path))

    def _file(self, name: str) -> bytes:
        root = self.state_dir.resolve()
        path = (root / name).resolve()
        if not path.is_relative_to(root) or not path.is_file():
            raise BadRequest("The image is not there any more.")
        return path.read_bytes()


def _text(data: dict[str, Any], name: str, longest: int) -> str | None:
    """Return a text that the page sent, None where it is empty."""
    text = data.get(name)
    if text is None:
        return None
    if not isinstance(text, str) or len(text) > longest or not text.isprintable():
        raise BadRequest(f"The {name} is no line of at most {longest} characters.")
    return text.strip() or None


def _part(item: Item, standing: Standing) -> str:
    """Return where the image is, or goes if it is decided about."""
    if item.image.split == "unused":
        return standing.split or "train"
    return item.image.split


def _fate(item: Item, standing: Standing) -> str:
    """Return what the next run does with an image because, or although, it is decided about."""
    if standing.decision is None:
        return ""
    if label_of(standing.decision.label) is None:
        is_judged = item.image.split == "evaluate" and standing.decision.label == "unsure"
        return "evaluate" if is_judged else "away"
    return _part(item, standing)


def _outlook(fates: Counter[str]) -> str:
    """Return what the next run does with what is decided, as the end of a sentence."""
    return listing(
        f"learns from {fates['train']:,}" if fates["train"] else "",
        f"tests on {fates['test']:,}" if fates["test"] else "",
        f"judges {fates['evaluate']:,}" if fates["evaluate"] else "",
        f"leaves {fates['away']:,} out" if fates["away"] else "",
    )


def _tile(item: Item, standing: Standing) -> dict[str, Any]:
    """Return what the grid shows of an image."""
    verdict, decision = item.verdict, standing.decision
    return {
        "name": item.name,
        "said": None
        if verdict is None
        else {
            "label": "anomaly" if verdict.is_anomalous else "normal",
            "confidence": verdict.confidence,
        },
        "decision": decision.label if decision else None,
        "conflict": standing.is_conflict,
    }


def _decision_json(decision: Decision) -> dict[str, Any]:
    return {
        "label": decision.label,
        "who": decision.who,
        "when": decision.when,
        "type": decision.type,
        "comment": decision.comment,
    }
