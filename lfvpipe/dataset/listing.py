"""Images listed one by one, with what is known of each: the form that every layout is brought to.

A table that people keep beside their photographs (CSV, TSV, JSON Lines), the layouts of published
data sets and the exports of annotation tools all end as rows of one kind.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Literal

from lfvpipe.config.spec import LABELS
from lfvpipe.dataset.words import (
    is_validation,
    meaning_of,
    part_of,
    product_words,
    simplify,
)
from lfvpipe.engine.phrases import count_of
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
        " datei dateiname bildname bilddatei foto fichier nomdefichier nomdufichier imagen archivo"
        " fichero nomefile immagine arquivo imagem bestand bestandsnaam plik obraz zdjecie",
        "label": "label labels class classname status verdict result decision judgement judgment"
        " ergebnis befund urteil entscheidung resultat resultado risultato esito verdetto wynik",
        "is_anomaly": "isanomaly anomaly anomalous isdefective defective isdefect",
        "split": "split set subset partition",
        "type": "type defecttype defectclass anomalytype kind category fehlerart fehlertyp defaut"
        " typededefaut tipodedefecto defecto difetto",
        "mask": "mask maskpath maskfile groundtruth segmentation",
        "group": "group partid piece serial serialnumber",
        "folder": "folder directory dir subfolder ordner verzeichnis unterordner dossier repertoire"
        " carpeta cartella pasta",
    }.items()
    for alias in aliases.replace("_", "").split()
}
_TRUTH: Mapping[str, Label] = {
    # Spreadsheets of much of Europe write a comma.
    **dict.fromkeys(("0", "0.0", "0,0", "false", "f", "no", "n"), "normal"),
    **dict.fromkeys(("1", "1.0", "1,0", "true", "t", "yes", "y"), "anomaly"),
}
# What stands in the column of types where there is no defect, simplified.
_NO_TYPE = frozenset(["", "0", "na", "nan", "none", "null", "no", "nil", "keine", "aucun"])
_LONGEST = 1 << 20  # characters of a field


_PATHS = frozenset(alias for alias, column in _COLUMNS.items() if column == "path")
_LABEL_COLUMNS = frozenset({"label", "is_anomaly"})
# Excel's own first line, which says what separates the cells; it never is a row.
_SEPARATOR = re.compile(r'"?sep=(.)"?[\t;,]*')


# Files of spreadsheet programs, which are archives of their own.
WORKBOOKS = (".xlsx", ".xlsm", ".xls", ".ods", ".numbers")


class ListingError(UserError):
    """A list of images cannot be used; the message says where in it."""


class NoTable(ListingError):
    """The file lists no images at all: it may be a table of something else."""


class NoLabels(ListingError):
    """The file names what may be images, and says of none what it is."""


class UnknownWords(ListingError):
    """Labels in a table of which nobody knows what they stand for.

    Attributes:
        words: They, in the table's order.
    """

    def __init__(
        self, message: str, words: Sequence[str], keys: str = "normal, anomaly or leave-out"
    ) -> None:
        self.words = tuple(words)
        super().__init__(message, hint=what_to_write(self.words, keys))


def what_to_write(words: Sequence[str], keys: str) -> str:
    """Return how a pipeline says what words stand for; never which, for nobody knows that."""
    shown = ", ".join(f"'{word}'" for word in words[:6]) + (", …" if words[6:] else "")
    what = f"each of {shown}" if words[1:] else shown
    example = "{normal: [WORDS], anomaly: [WORDS]}"
    return f"Say under `labels` what {what} stands for, by {keys}: labels: {example}."


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
        folder: The folder that it lies in, where a column of its own says that; "" for none.
        where: The place in the list, for messages: ``labels.csv:12``.
        left_out: The word by which the user leaves such images out; "" where they take part.
        is_validation: The list calls its part validation, which counts as test.
    """

    path: str
    label: Label | None
    split: Part | None = None
    type: str = ""
    mask: str = ""
    group: str = ""
    folder: str = ""
    where: str = ""
    left_out: str = ""
    is_validation: bool = False


@dataclass(frozen=True)
class Table:
    """What a table says.

    Attributes:
        rows: In its order.
        guess: What it is written in, in words, where it does not say so and is not UTF-8.
        types: Labels that were taken for types of defects, and how often each stands there.
        good_of_type: Places of rows that call an image good and name the type of its defect.
    """

    rows: tuple[Row, ...]
    guess: str = ""
    types: Counter[str] = field(default_factory=Counter)
    good_of_type: tuple[str, ...] = ()


def read_table(
    name: str,
    data: bytes,
    labels: Mapping[str, Label] | None = None,
    *,
    left_out: Sequence[str] = (),
    encoding: str | None = None,
) -> Table:
    """Return what a CSV, TSV or JSON Lines file says.

    The columns are path, label and, where they are there, split, type, mask, group and folder;
    common other names for them are known. A label is normal or anomaly, a known word for one of
    these, 0 or 1; or, where there is no column of types, any other word: the type of a defect.

    Args:
        name: What messages call the file; its ending says what it is.
        data: Its bytes: UTF-8 or UTF-16, or what Excel writes: the code page of Windows.
        labels: What words in the label's column stand for, by the word as it is written.
        left_out: Words in there of images that take no part.
        encoding: What it is written in if it is not Unicode; None to guess.

    Raises:
        ListingError: It is no such table, names an image twice, or a label is not known.
    """
    if name.lower().endswith(WORKBOOKS):
        raise ListingError(
            f"{name}: this is a workbook, which is not read.",
            hint="Save its sheet as CSV UTF-8, and name that.",
        )
    text, guess = decode(name, data, encoding)
    is_json = name.lower().endswith((".jsonl", ".ndjson"))
    words = _Words(labels or {}, frozenset(left_out))
    entries = [*(_json_lines if is_json else _separated)(name, text)]
    words.products = product_words(entry.get("label", "") for _, entry in entries)
    rows = [_row(entry, where, words) for where, entry in entries]
    if not rows:
        raise NoTable(f"{name}: lists no image.")
    words.insist_on_known(name, has_good=any(row.label == "normal" for row in rows))
    # One name may be that of photographs in several folders, which these columns tell apart.
    first: dict[tuple[str, str, str], Row] = {}
    for row in rows:
        if (twin := first.setdefault((row.path, row.folder, row.group), row)) is not row:
            raise ListingError(
                f"{row.where}: {row.path} is listed a second time.",
                hint=f"The first time is {twin.where}. Take one of the lines out; or, if these are"
                f" photographs in two folders, write the folders before the names, such as"
                f" A/{PurePosixPath(row.path).name}, or into a column `folder`.",
            )
    return Table(tuple(rows), guess, words.types, tuple(words.good_of_type))


def decode(name: str, data: bytes, encoding: str | None = None) -> tuple[str, str]:
    """Return a text, and in words what it was read as where that had to be guessed.

    Raises:
        ListingError: It is no text that can be read.
    """
    unicode = "utf-16" if data.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    if unicode != "utf-16" and b"\0" in data[:2]:  # without a mark, and its first sign is Latin
        unicode = "utf-16-be" if data[:1] == b"\0" else "utf-16-le"
    try:
        return data.decode(unicode), ""
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
    guess = None
    if encoding is None and unicode == "utf-8-sig":
        from lfvpipe.archives.encodings import WINDOWS, guess_encoding

        guess = guess_encoding(data.splitlines(), WINDOWS)
        encoding = guess.encoding
    try:
        return data.decode(encoding or unicode), str(guess or "")
    except (UnicodeDecodeError, LookupError) as error:
        raise ListingError(
            f"{name}:{line}: is not UTF-8, and neither {encoding or unicode}.",
            hint="Save the table as CSV UTF-8.",
        ) from error


def _separated(name: str, text: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield each line of a CSV or TSV with its place, by column; semicolons separate, too."""
    first, end, rest = text.partition("\n")
    said = _SEPARATOR.fullmatch(first.strip())
    if said:
        text = end + rest
    separator = said[1] if said else _separator(text)
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
                    hint="Put names that hold a separator, and numbers with a decimal comma, in"
                    " quotation marks.",
                )
            yield where, {key: cell.strip() for key, cell in zip(columns, cells, strict=False)}
    except csv.Error as error:
        raise ListingError(f"{name}:{lines.line_num}: is no line of a table ({error}).") from error


def _separator(text: str) -> str:
    """Return what separates the names of the columns: where that can be several, what finds one."""
    told = (line for line in text.splitlines() if line.strip() and not line.startswith("#"))
    head = next(told, "")
    bare = re.sub(r'"[^"]*"', "", head)
    ranked = sorted("\t;,", key=bare.count, reverse=True)
    names = {each: {simplify(cell) for cell in head.split(each)} for each in ranked}
    return next((each for each in ranked if names[each] & _PATHS), ranked[0])


def _columns(cells: Sequence[str], where: str) -> list[str]:
    columns = [_COLUMNS.get(simplify(cell), "") for cell in cells]
    if "path" not in columns:
        raise NoTable(
            f"{where}: names no column `path`; it names {', '.join(cells[:8])}.",
            hint="The first row names the columns: path, label, and split, type, mask or group;"
            " call the one with the images' names `path`.",
        )
    twice = next((column for column in columns if column and columns.count(column) > 1), None)
    if twice:
        names = ", ".join(c for c, column in zip(cells, columns, strict=True) if column == twice)
        raise ListingError(f"{where}: several columns could be the {twice}: {names}.")
    if _LABEL_COLUMNS.isdisjoint(columns):
        raise _no_label(where, cells)
    return columns


def _no_label(where: str, names: Sequence[str]) -> NoLabels:
    return NoLabels(
        f"{where}: no column says what the images are; the columns are {', '.join(names[:8])}.",
        hint="Call the one that does `label`, or `is_anomaly` where it holds 0 and 1.",
    )


def _json_lines(name: str, text: str) -> Iterator[tuple[str, dict[str, str]]]:
    names: dict[str, None] = {}
    where = name
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        where = f"{name}:{number}"
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise NoTable(f"{where}: this is not JSON.") from error
        if not isinstance(entry, dict):
            raise NoTable(f'{where}: is not {{"path": an image, "label": …}}.')
        names |= dict.fromkeys(entry)
        known = {_COLUMNS.get(simplify(key), ""): value for key, value in entry.items()}
        wrong = [key for key, value in known.items() if key and isinstance(value, (list, dict))]
        if wrong:
            raise ListingError(f"{where}: {wrong[0]} is not a text.")
        yield where, {key: "" if v is None else str(v).strip() for key, v in known.items() if key}
    if names and _LABEL_COLUMNS.isdisjoint(_COLUMNS.get(simplify(each)) for each in names):
        raise _no_label(name, list(names))


class _Words:
    """What the labels of a table stand for, as far as anybody knows.

    Args:
        labels: What the user said of words.
        left_out: Words of images that the user leaves out.
    """

    def __init__(self, labels: Mapping[str, Label], left_out: frozenset[str]) -> None:
        self.left_out = left_out
        self.products: frozenset[str] = frozenset()
        self.types: Counter[str] = Counter()
        self.good_of_type: list[str] = []
        self._denied: list[str] = []  # places of rows with two labels
        self._labels = labels
        self._unknown: dict[str, str] = {}  # and where each stands first

    def label(self, entry: Mapping[str, str], where: str) -> tuple[Label | None, str]:
        """Return what an entry says that its image is, and the type of its defect."""
        said, truth = entry.get("label", ""), entry.get("is_anomaly", "")
        by_truth = self._labels.get(truth) or _TRUTH.get(truth.lower())
        by_word = self._labels.get(said) or meaning_of(said, self.products)
        if by_truth and by_word in LABELS and by_truth != by_word:
            self._denied.append(f"{where} ({said}, {truth})")
        label = self._labels.get(said) or by_truth
        if label is None and truth:
            raise ListingError(
                f"{where}: {truth} does not say whether the image is anomalous.",
                hint=f"Write 0 or 1, or say under `labels` what {truth} stands for: normal, anomaly"
                " or leave-out.",
            )
        type_ = entry.get("type", "")
        if label is None and said:
            meaning = meaning_of(said, self.products)
            is_word = not (said.isdecimal() or said.lower() in _TRUTH or meaning == "undecided")
            if meaning == "normal" or meaning == "anomaly":
                label = meaning
            elif is_word and "type" not in entry:
                self.types[said] += 1
                label, type_ = "anomaly", said
            else:
                self._unknown.setdefault(said, where)
        if label == "normal" and simplify(type_) not in _NO_TYPE and meaning_of(type_) != "normal":
            self.good_of_type.append(where)
        return label, type_ if label == "anomaly" else ""

    def insist_on_known(self, name: str, *, has_good: bool) -> None:
        """Raise UnknownWords where a label is not known, or all that are not are called types.

        Raises a ListingError where two columns of a row contradict each other.
        """
        if self._denied:
            more = f", and {len(self._denied) - 5} more" if len(self._denied) > 5 else ""
            raise ListingError(
                f"{name}: the columns of the label and of is_anomaly contradict each other in"
                f" {count_of(len(self._denied), 'row')}: {', '.join(self._denied[:5])}{more}.",
                hint="Mend these rows, or take one of the two columns out.",
            )
        if self._unknown:
            word, where = next(iter(self._unknown.items()))
            others = "".join(f", nor is {each}" for each in [*self._unknown][1:6])
            raise UnknownWords(
                f"{where}: the label {word} is neither normal nor anomaly{others}.",
                [*self._unknown],
            )
        if self.types and not has_good:
            counts = ", ".join(f"{word} ({n})" for word, n in self.types.most_common(8))
            raise UnknownWords(
                f"{name}: no image is called good; unknown words among the labels are {counts}.",
                [word for word, _ in self.types.most_common()],
            )


def _row(entry: Mapping[str, str], where: str, words: _Words) -> Row:
    path, folder = _tidy(entry.get("path", "")), _tidy(entry.get("folder", "")).strip("/")
    if not path or ".." in path.split("/"):
        what = f"{path} leads out of the folder of the images" if path else "names no image"
        raise ListingError(f"{where}: {what}.")
    said = next((w for key in _LABEL_COLUMNS if (w := entry.get(key, "")) in words.left_out), "")
    label, type_ = (None, "") if said else words.label(entry, where)
    return Row(
        path=path,
        label=label,
        split=_part(entry.get("split", ""), where),
        is_validation=is_validation(entry.get("split", "")),
        type=type_,
        mask=_tidy(entry.get("mask", "")),
        group=entry.get("group", ""),
        folder=folder,
        where=where,
        left_out=said,
    )


def _tidy(path: str) -> str:
    return path.replace("\\", "/").removeprefix("file://").removeprefix("./")


def _part(said: str, where: str) -> Part | None:
    if not said:
        return None
    if part := part_of(said):
        return part
    raise ListingError(f"{where}: the split {said} is neither train nor test.")
