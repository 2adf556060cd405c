"""The facts in a model file's header, each held to its type and range: it may be a stranger's."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from lfvpipe.detector.calibration import Calibration
from lfvpipe.detector.errors import DetectorWarning
from lfvpipe.detector.facts import Info

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lfvpipe.detector.ensemble import ScoreKey

T = TypeVar("T")
_SIDES = range(16, 4097)  # px; settings allow fewer
_IMAGE_SIDES = range(1, 1 << 16)
_MOST_TYPES = 255  # of anomalies
_MOST = 1e300  # of a number
_COLOUR = re.compile("#[0-9A-Fa-f]{6}")


@dataclass(frozen=True)
class ModelFacts:
    """What a header says.

    Attributes:
        info: Of the model.
        calibration: Likewise.
        keys: Of the scores in the blend.
        sides: Of the scales, px, ascending.
        segmented: One of them, where there are types.
        classes: Colours by anomaly type.
        numbers: By part and field.
    """

    info: Info
    calibration: Calibration
    keys: tuple[ScoreKey, ...]
    sides: tuple[int, ...]
    segmented: int
    classes: Mapping[str, str]
    numbers: dict[str, dict[str, Any]]


def read_facts(header: Mapping[str, Any]) -> ModelFacts:
    """Return the facts of a header.

    Raises:
        ValueError, KeyError: One is absent, or cannot be; the message names it.
    """
    sides = _sides(header["sides"], "sides")
    _require(sides and list(sides) == sorted({*sides}), "sides do not ascend")
    segmented = _whole(header["segmented"], "segmented")
    keys = tuple(_key(each) for each in _list(header["heads"], "heads"))
    _require(keys and len({*keys}) == len(keys), "heads are none, or there twice")
    classes = _mapping(header["classes"], "classes", _colour)
    _require(len(classes) <= _MOST_TYPES, "classes are too many")
    # Where no types are told apart it is not read, and may be a side that was never looked on.
    segments = not classes or segmented in sides
    _require(segments, f"segmented is {segmented}, which is no side")
    return ModelFacts(
        info=_info(_mapping(header["info"], "info", _any)),
        calibration=_calibration(_mapping(header["calibration"], "calibration", _real)),
        keys=keys,
        sides=sides,
        segmented=segmented,
        classes=classes,
        numbers={
            part: dict(_mapping(values, f"numbers.{part}", _real))
            for part, values in _mapping(header["numbers"], "numbers", _any).items()
        },
    )


def _info(given: Mapping[str, Any]) -> Info:
    white = given["white"]
    _require(white is None or _real(white, "info.white") > 0, "info.white is no level of grey")
    width, height = _sides(given["image_size"], "info.image_size", _IMAGE_SIDES)
    settings = _mapping(given["settings"], "info.settings", _any)
    _mapping(settings.get("pixels", {}), "info.settings.pixels", _any)
    _text(settings.get("geometry", ""), "info.settings.geometry")
    kind = _text(given["kind"], "info.kind")
    _require(kind in ("supervised", "novelty"), "info.kind is neither supervised nor novelty")
    _require(isinstance(given["segmentation"], bool), "info.segmentation is neither true nor false")
    info = Info(
        kind=kind,
        segmentation=given["segmentation"],
        counts=_mapping(given["counts"], "info.counts", _whole),
        digest=_text(given["digest"], "info.digest"),
        image_size=(width, height),
        settings=settings,
        versions=_mapping(given["versions"], "info.versions", _text),
        scores=_mapping(given["scores"], "info.scores", _real),
        sides=_sides(given["sides"], "info.sides"),
        white=white,
        warnings=tuple(_warning(each) for each in _list(given["warnings"], "info.warnings")),
    )
    _ = info.pixels, info.geometry  # an error where they are none
    return info


def _calibration(given: Mapping[str, float]) -> Calibration:
    found = Calibration(**given)
    fine = found.slope > 0 and 0 < found.threshold < 1
    _require(fine, "calibration has no slope, or no threshold")
    return found


def _warning(given: Any) -> DetectorWarning:
    return DetectorWarning(**_mapping(given, "info.warnings", _text))


def _key(given: Any) -> ScoreKey:
    name, side = _list(given, "heads")
    return _text(name, "heads"), _whole(side, "heads")


def _require(fine: object, fault: str) -> None:
    if not fine:
        raise ValueError(fault)


def _any(value: Any, _where: str) -> Any:
    return value


def _text(value: Any, where: str) -> str:
    _require(isinstance(value, str), f"{where} is no text")
    value.encode()  # half a surrogate pair is no text either
    return str(value)


def _colour(value: Any, where: str) -> str:
    _require(_COLOUR.fullmatch(_text(value, where)), f"{where} is no colour")
    return str(value)


def _whole(value: Any, where: str, within: range | None = None) -> int:
    fine = type(value) is int and value in (within or range(1 << 62))
    _require(fine, f"{where} is no such whole number")
    return int(value)


def _real(value: Any, where: str) -> float:
    fine = type(value) in (int, float) and abs(value) <= _MOST  # and no NaN
    _require(fine, f"{where} is no number")
    return float(value)


def _list(value: Any, where: str) -> list[Any]:
    _require(isinstance(value, list), f"{where} is no list")
    return list(value)


def _sides(value: Any, where: str, within: range = _SIDES) -> tuple[int, ...]:
    return tuple(_whole(each, where, within) for each in _list(value, where))


def _mapping(value: Any, where: str, read: Callable[[Any, str], T]) -> dict[str, T]:
    _require(isinstance(value, dict), f"{where} is no mapping")
    return {_text(key, where): read(each, f"{where}.{key}") for key, each in value.items()}
