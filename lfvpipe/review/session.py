"""What the page shows and is told: images to look at, pictures, decisions."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from lfvpipe import atomic
from lfvpipe.dataset.labels import CHOICES, Decision, label_of
from lfvpipe.errors import UserError
from lfvpipe.report.heat_colours import ramp
from lfvpipe.review.pictures import NoPainting, mask_from_painting, see_through

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from lfvpipe.dataset.labels import Standing
    from lfvpipe.review.book import Book
    from lfvpipe.review.pictures import Drawing, Pictures
    from lfvpipe.review.queue import Item, Queue

DEFAULT_CLASSES = {"anomaly": "#23A436"}
MAX_NAME = 100
LEARNT = frozenset({"train", "unused"})  # the splits whose images a run learns from once decided


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
    """

    queue: Queue
    book: Book
    state_dir: Path
    pictures: Pictures | None
    who: str
    title: str
    advice: str = ""

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
            "learnt": sum(map(_is_learnt, self.queue.items, standings)),
            "advice": self.advice,
            "conflicts": sum(standing.is_conflict for standing in standings),
            "can_undo": self.book.can_undo,
            "heat": self.pictures is not None,
            "ramp": ramp(),
            "paints": bool(self.queue.classes),
            "classes": self.classes,
            "review_below": self.queue.review_below,
            "of_training": self.queue.of_training,
        }

    def numbers(self, name: str) -> dict[str, Any]:
        """Return the numbers of the images that a filter leaves, in order."""
        keeps: dict[str, Callable[[Item, Standing], bool]] = {
            "todo": lambda _, standing: standing.decision is None,
            "all": lambda *_: True,
            "decided": lambda _, standing: standing.decision is not None,
            "conflicts": lambda _, standing: standing.is_conflict,
            "wrong": lambda item, _: item.is_wrong,
        }
        keep = keeps.get(name)
        if keep is None:
            raise BadRequest("There is no such filter.")
        pairs = zip(self.queue.items, self._standings(), strict=True)
        return {"items": [n for n, pair in enumerate(pairs) if keep(*pair)]}

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
            said = {"label": label, "confidence": verdict.confidence, "wrong": item.is_wrong}
        return {
            "n": n,
            "name": image.member,
            "source": image.source,
            "split": image.split,
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
        """Save a decision: ``{"n", "label", "who", "mask": a PNG in base 64 or absent}``."""
        n, label, who = self._check_number(data.get("n")), data.get("label"), data.get("who")
        if label not in CHOICES:
            raise BadRequest("There is no such label.")
        if not isinstance(who, str) or not who.strip() or not who.isprintable():
            raise BadRequest("Say who you are.")
        if len(who) > MAX_NAME:
            raise BadRequest("Say who you are.")
        item = self.queue.items[n]
        mask = self._save_mask(item, data.get("mask")) if label == "anomaly" else None
        self.book.add(
            Decision(
                name=item.image.member,
                label=label,
                source=item.image.source,
                sha256=item.origin,
                who=who.strip(),
                was=item.image.label,
                mask=mask,
                classes=self.classes if mask else None,
            )
        )
        return {"item": self.item(n), "state": self.state()}

    def undo(self, _: dict[str, Any]) -> dict[str, Any]:
        """Take back the last decision of this session; ``n`` is null if there is none."""
        undone = self.book.undo()
        keys = {item.key: n for n, item in enumerate(self.queue.items)}
        n = keys.get((undone.source or "", undone.name)) if undone else None
        return {"n": n, "state": self.state()}

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
        item = self.queue.items[self._check_number(n)]
        if kind == "image":
            return self._file(item.image.path)
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
        return self.pictures.of(self.state_dir / item.image.path, item.image.sha256)

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


def _is_learnt(item: Item, standing: Standing) -> bool:
    """Tell whether a run learns from the image because, or although, somebody decided about it."""
    decided = standing.decision is not None and label_of(standing.decision.label) is not None
    return decided and item.image.split in LEARNT


def _decision_json(decision: Decision) -> dict[str, Any]:
    return {"label": decision.label, "who": decision.who, "when": decision.when}
