"""Images listed one by one, with what is known of each: the form that every layout is brought to.

A table that people keep beside their photographs (CSV, TSV, JSON Lines), the layouts of published
data sets and the exports of annotation tools all end as rows of one kind.
"""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from lfvpipe.dataset.words import is_undecided, meaning_of, simplify
from lfvpipe.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lfvpipe.config.spec import Label

Part = Literal["train", "test"]

# By what a column may be called: what it holds. The first row names the columns.
_COLUMNS: dict[str, str] = {
    alias: column
    for column, aliases in {
        "path": "path file filename filepath image imagepath imagefile img name picture photo bild"
        " datei dateiname",
        "label": "label class classname status verdict result ergebnis befund",
        "is_anomaly": "isanomaly anomaly anomalous isdefective defective isdefect",
        "split": "split set subset partition",
        "type": "type defecttype defectclass anomalytype kind category",
        "mask": "mask maskpath maskfile groundtruth segmentation",
        "group": "group partid piece serial serialnumber",
    }.items()
    for alias in aliases.replace("_", "").split()
}
_TRUTH: Mapping[str, Label] = {
    **dict.fromkeys(("0", "0.0", "false", "f", "no", "n"), "normal"),
    **dict.fromkeys(("1", "1.0", "true", "t", "yes", "y"), "anomaly"),
}
_LONGEST = 1 << 20  # characters of a field


class ListingError(UserError):
    """A list of images cannot be used; the message says where in it."""


@dataclass(frozen=True)
class Row:
    """One image and what is known of it.

    Attributes:
        path: Its name, relative to the archive or folder that holds the images.
        label: What it is; None where it is to be judged only.
        split: The part of a published or own split that it is in; None to be divided.
        type: The defect's type; "" where it is not known or there is no defect.
        mask: The mask's name; "" for none.
        group: What it shares with other photographs of the same part; "" for nothing.
        where: The place in the list, for messages: ``labels.csv:12``.
    """

    path: str
    label: Label | None
    split: Part | None = None
    type: str = ""
    mask: str = ""
    group: str = ""
    where: str = ""


def read_table(
    name: str, data: bytes, labels: Mapping[str, Label] | None = None
) -> tuple[Row, ...]:
    """Return the rows of a CSV, TSV or JSON Lines file.

    The columns are path, label and, where they are there, split, type, mask and group; common
    other names for them are known. A label is normal or anomaly, a known word for one of these,
    0 or 1; or, where there is no column of types, any other word: the type of a defect.

    Args:
        name: What messages call the file; its ending says what it is.
        data: Its bytes: UTF-8, with or without a byte order mark, or UTF-16 with one.
        labels: What words in the label's column stand for, by the word as it is written.

    Raises:
        ListingError: It is no such table, names an image twice, or a label is not known.
    """
    text = _decode(name, data)
    entries = _json_lines(name, text) if name.lower().endswith((".jsonl", ".ndjson")) else None
    rows = [
        _row(entry, where, labels or {})
        for where, entry in (_separated(name, text) if entries is None else entries)
    ]
    if not rows:
        raise ListingError(f"{name}: lists no image.")
    first: dict[str, Row] = {}
    for row in rows:
        if (twin := first.setdefault(row.path, row)) is not row:
            raise ListingError(
                f"{row.where}: {row.path} is listed a second time.",
                hint=f"The first time is {twin.where}. Take one of the lines out.",
            )
    return tuple(rows)


def _decode(name: str, data: bytes) -> str:
    encoding = "utf-16" if data.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise ListingError(
            f"{name}:{line}: is not UTF-8.", hint="Save the table as CSV UTF-8."
        ) from error


def _separated(name: str, text: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield each line of a CSV or TSV with its place, by column; semicolons separate, too."""
    told = (line for line in text.splitlines() if line.strip() and not line.startswith("#"))
    head = next(told, "")
    separator = max("\t;,", key=head.count)
    csv.field_size_limit(_LONGEST)
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    columns: list[str] | None = None
    try:
        for cells in lines:
            where = f"{name}:{lines.line_num}"
            filled = [cell for cell in cells if cell.strip()]
            # Below the first row, a cell beside it tells an image that is called #1.png.
            if not filled or (cells[0].startswith("#") and (columns is None or len(filled) == 1)):
                continue
            if columns is None:
                columns = _columns(cells, where)
                continue
            if len(cells) > len(columns) and any(cell.strip() for cell in cells[len(columns) :]):
                raise ListingError(
                    f"{where}: has {len(cells)} cells, and the first row names {len(columns)}.",
                    hint="Put names that hold a separator in quotation marks.",
                )
            yield where, {key: cell.strip() for key, cell in zip(columns, cells, strict=False)}
    except csv.Error as error:
        raise ListingError(f"{name}:{lines.line_num}: is no line of a table ({error}).") from error


def _columns(cells: Sequence[str], where: str) -> list[str]:
    columns = [_COLUMNS.get(simplify(cell), "") for cell in cells]
    if "path" not in columns:
        raise ListingError(
            f"{where}: names no column `path`; it names {', '.join(cells[:8])}.",
            hint="The first row names the columns: path, label, and split, type, mask or group.",
        )
    twice = next((column for column in columns if column and columns.count(column) > 1), None)
    if twice:
        names = ", ".join(c for c, column in zip(cells, columns, strict=True) if column == twice)
        raise ListingError(f"{where}: several columns could be the {twice}: {names}.")
    return columns


def _json_lines(name: str, text: str) -> Iterator[tuple[str, dict[str, str]]]:
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        where = f"{name}:{number}"
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise ListingError(f"{where}: this is not JSON.") from error
        if not isinstance(entry, dict):
            raise ListingError(f'{where}: is not {{"path": an image, "label": …}}.')
        known = {_COLUMNS.get(simplify(key), ""): value for key, value in entry.items()}
        wrong = [key for key, value in known.items() if key and isinstance(value, (list, dict))]
        if wrong:
            raise ListingError(f"{where}: {wrong[0]} is not a text.")
        yield where, {key: "" if v is None else str(v).strip() for key, v in known.items() if key}


def _row(entry: Mapping[str, str], where: str, labels: Mapping[str, Label]) -> Row:
    path = entry.get("path", "").replace("\\", "/").removeprefix("./")
    if not path or path.startswith("/") or ".." in path.split("/"):
        what = f"{path} leads out of the folder of the images" if path else "names no image"
        raise ListingError(f"{where}: {what}.")
    label, type_ = _label(entry, where, labels)
    return Row(
        path=path,
        label=label,
        split=_part(entry.get("split", ""), where),
        type=type_,
        mask=entry.get("mask", "").replace("\\", "/").removeprefix("./"),
        group=entry.get("group", ""),
        where=where,
    )


def _label(
    entry: Mapping[str, str], where: str, labels: Mapping[str, Label]
) -> tuple[Label | None, str]:
    """Return what an entry says that its image is, and the type of its defect."""
    said, truth = entry.get("label", ""), entry.get("is_anomaly", "")
    label = labels.get(said) or labels.get(truth) or _TRUTH.get(truth.lower())
    if label is None and truth:
        raise ListingError(
            f"{where}: {truth} does not say whether the image is anomalous.",
            hint=f"Write 0 or 1, or say what it stands for: labels: {{anomaly: ['{truth}']}}.",
        )
    type_ = entry.get("type", "")
    if label is None and said:
        meaning = meaning_of(said)
        if meaning == "normal" or meaning == "anomaly":
            label = meaning
        elif "type" in entry or said.isdecimal() or said.lower() in _TRUTH or is_undecided(said):
            raise ListingError(
                f"{where}: the label {said} is neither normal nor anomaly.",
                hint=f"Say what it stands for: labels: {{normal: [...], anomaly: ['{said}']}}.",
            )
        else:
            label, type_ = "anomaly", said
    return label, type_ if label == "anomaly" else ""


def _part(said: str, where: str) -> Part | None:
    if not said:
        return None
    meaning = meaning_of(said)
    if meaning == "train" or meaning == "test":
        return meaning
    raise ListingError(f"{where}: the split {said} is neither train nor test.")
