"""Images listed one by one, with what is known of each: the form that every layout is brought to.

A table that people keep beside their photographs (CSV, TSV, JSON), the layouts of published
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
from typing import TYPE_CHECKING, Any, Literal, get_args

from lfvpipe.config.spec import LABELS
from lfvpipe.dataset.words import (
    is_validation,
    may_name_type,
    meaning_of,
    part_of,
    product_words,
    simplify,
)
from lfvpipe.engine.phrases import count_of
from lfvpipe.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from lfvpipe.config.spec import Label

Part = Literal["train", "test"]
Column = Literal["path", "folder", "label", "is_anomaly", "split", "type", "mask", "group"]
COLUMNS: tuple[Column, ...] = get_args(Column)

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
_NO_VALUE = re.compile(r"[\s,]*")  # matches anywhere, if nothing
_MOST_ABOVE = 50  # lines, titles and remarks, that may stand above the names of the columns


_PATHS = frozenset(alias for alias, column in _COLUMNS.items() if column == "path")
LABEL_COLUMNS = frozenset({"label", "is_anomaly"})
# Excel's own first line, which says what separates the cells; it never is a row.
_SEPARATOR = re.compile(r'"?sep=(.)"?[\t;,]*')


# Files of spreadsheet programs, which are archives of their own.
WORKBOOKS = (".xlsx", ".xlsm", ".xls", ".ods", ".numbers")


def column_of(name: str) -> str:
    """Return what a column of that name is known to hold, one of `COLUMNS`; "" where it is not."""
    return _COLUMNS.get(simplify(name), "")


class ListingError(UserError):
    """A list of images cannot be used; the message says where in it.

    Attributes:
        column: What nobody knows the column of, one of `COLUMNS`; None for another fault.
    """

    def __init__(self, message: str, *, hint: str = "", column: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.column = column


class NoTable(ListingError):
    """The file lists no images at all: it may be a table of something else."""


class NoLabels(ListingError):
    """The file names what may be images, and says of none what it is."""


class NoColumn(ListingError):
    """The file has no column of a name that the user gave."""


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
    columns: Mapping[str, str] | None = None,
) -> Table:
    """Return what a CSV, TSV, JSON Lines file or a JSON array says.

    The columns are path, label and, where they are there, split, type, mask, group and folder;
    common other names for them are known. A label is normal or anomaly, a known word for one of
    these, 0 or 1; or, where there is no column of types, any other word: the type of a defect, and
    so is one that `labels` calls anomalous.

    Args:
        name: What messages call the file; its ending says what it is.
        data: Its bytes: UTF-8 or UTF-16, or what Excel writes: the code page of Windows.
        labels: What words in the label's column stand for, by the word as it is written.
        left_out: Words in there of images that take no part.
        encoding: What it is written in if it is not Unicode; None to guess.
        columns: What columns are called, by what they hold: one of `COLUMNS`. Others go by the
            names that are known.

    Raises:
        ListingError: It is no such table, names an image twice, or a label is not known.
    """
    text, guess = _text(name, data, encoding)
    words = _Words(labels or {}, frozenset(left_out))
    entries = [*(_entries if _is_json(name) else _separated)(name, text, _Naming(columns or {}))]
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


def read_cells(name: str, data: bytes, encoding: str | None = None) -> list[Mapping[str, str]]:
    """Return the lines of a table, each by the names of its columns, whatever these hold.

    Raises:
        ListingError: It is no table.
    """
    text, _ = _text(name, data, encoding)
    if _is_json(name):
        return [{key: _plain(v) for key, v in each.items()} for _, each in _objects(name, text)]
    (_, names), *lines = [*_cells(name, text, _PATHS)] or [("", [])]
    return [dict(zip(map(str.strip, names), cells, strict=False)) for _, cells in lines]


def _text(name: str, data: bytes, encoding: str | None) -> tuple[str, str]:
    if name.lower().endswith(WORKBOOKS):
        raise ListingError(
            f"{name}: this is a workbook, which is not read.",
            hint="Save its sheet as CSV UTF-8, and name that.",
        )
    return decode(name, data, encoding)


def _is_json(name: str) -> bool:
    return name.lower().endswith((".jsonl", ".ndjson", ".json"))


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


class _Naming:
    """What the columns of a table hold, by their names.

    Args:
        said: What the user calls columns, by what they hold.
    """

    def __init__(self, said: Mapping[str, str]) -> None:
        self.said = said
        twice = [name for name, count in Counter(said.values()).items() if count > 1]
        if twice:
            raise ListingError(
                f"The column {twice[0]} is said to hold several things.",
                hint="Say of each column one thing that it holds, and of others nothing.",
            )

    @property
    def paths(self) -> Collection[str]:
        """What the column of the images may be called, simplified."""
        return {simplify(self.said["path"])} if "path" in self.said else _PATHS

    def holds(self, name: str, names: Collection[str]) -> str:
        """Return what a column holds; "" where that is not known.

        Args:
            name: What it is called.
            names: What all are called: an exact spelling counts before a similar one.
        """
        for column, wanted in self.said.items():
            is_exact = any(each.strip() == wanted.strip() for each in names)
            if name.strip() == wanted.strip() or (
                not is_exact and simplify(name) == simplify(wanted) != ""
            ):
                return column
        known = column_of(name)
        return "" if known in self.said else known

    def insist_on_said(self, names: Sequence[str], where: str) -> None:
        """Raise NoColumn where one that the user named is not there."""
        there = {self.holds(name, names) for name in names}
        for column, wanted in self.said.items():
            if column not in there:
                raise NoColumn(
                    f"{where}: names no column {wanted}, which is said to hold the {column};"
                    f" it names {', '.join(names[:8])}.",
                    hint="Say it as it is written there.",
                )


def _separated(name: str, text: str, naming: _Naming) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield each line of a CSV or TSV with its place, by column; semicolons separate, too."""
    columns: list[str] | None = None
    _insist_on_top(name, text, naming)
    for where, cells in _cells(name, text, naming.paths):
        if columns is None:
            columns = _columns(cells, where, naming)
            continue
        yield where, {key: cell.strip() for key, cell in zip(columns, cells, strict=False)}


def _insist_on_top(name: str, text: str, naming: _Naming) -> None:
    """Raise a ListingError where lines stand above the one that names the columns."""
    first = ""
    for number, line in enumerate(text.splitlines()[:_MOST_ABOVE], start=1):
        for separator in "\t;,|":
            cells = [cell.strip().strip('"') for cell in line.split(separator)]
            holds = {naming.holds(cell, cells) for cell in cells}
            if "path" not in holds or (first and LABEL_COLUMNS.isdisjoint(holds)):
                continue
            if not first or line.startswith("#"):
                return
            raise ListingError(
                f"{name}:{number}: this line names the columns ({', '.join(cells[:8])}), and is"
                f" not the first; line 1 is {first}.",
                hint=f"Take what stands above line {number} out of the table.",
            )
        is_text = line.strip() and not line.startswith("#") and not _SEPARATOR.fullmatch(line)
        first = first or (line.strip("\t;, ") if is_text else "")


def _cells(name: str, text: str, paths: Collection[str]) -> Iterator[tuple[str, list[str]]]:
    """Yield the cells of each line of a CSV or TSV with its place; the first names the columns.

    Args:
        name: Of the file.
        text: What is in it.
        paths: What the column of the images may be called, simplified.
    """
    first, end, rest = text.partition("\n")
    said = _SEPARATOR.fullmatch(first.strip())
    if said:
        text = end + rest
    separator = said[1] if said else _separator(text, paths)
    csv.field_size_limit(_LONGEST)
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    count = 0
    try:
        for cells in lines:
            where = f"{name}:{lines.line_num}"
            filled = [cell for cell in cells if cell.strip()]
            # Below the first row, a cell beside it tells an image that is called #1.png.
            if not filled or (cells[0].startswith("#") and (not count or len(filled) == 1)):
                continue
            if count and len(cells) > count and any(cell.strip() for cell in cells[count:]):
                raise ListingError(
                    f"{where}: has {len(cells)} cells, and the first row names {count}.",
                    hint="Put names that hold a separator, and numbers with a decimal comma, in"
                    " quotation marks.",
                )
            count = count or len(cells)
            yield where, cells
    except csv.Error as error:
        raise ListingError(f"{name}:{lines.line_num}: is no line of a table ({error}).") from error


def _separator(text: str, paths: Collection[str]) -> str:
    """Return what separates the names of the columns: where that can be several, what finds one."""
    told = (line for line in text.splitlines() if line.strip() and not line.startswith("#"))
    head = next(told, "")
    bare = re.sub(r'"[^"]*"', "", head)
    ranked = sorted("\t;,", key=bare.count, reverse=True)
    names = {each: {simplify(cell) for cell in head.split(each)} for each in ranked}
    return next((each for each in ranked if not names[each].isdisjoint(paths)), ranked[0])


def _columns(cells: Sequence[str], where: str, naming: _Naming) -> list[str]:
    naming.insist_on_said(cells, where)
    columns = [naming.holds(cell, cells) for cell in cells]
    if "path" not in columns:
        raise NoTable(
            f"{where}: names no column `path`; it names {', '.join(cells[:8])}.",
            hint="The first row names the columns: path, label, and split, type, mask or group."
            " Where they are called otherwise, say it: columns: {path: NAME, label: NAME}.",
            column="path",
        )
    twice = next((column for column in columns if column and columns.count(column) > 1), None)
    if twice:
        names = [c for c, column in zip(cells, columns, strict=True) if column == twice]
        raise ListingError(
            f"{where}: several columns could be the {twice}: {', '.join(names)}.",
            hint=f"Say which one it is: columns: {{{twice}: {names[0]}}}.",
            column=twice,
        )
    if LABEL_COLUMNS.isdisjoint(columns):
        raise _no_label(where, cells)
    return columns


def _no_label(where: str, names: Sequence[str]) -> NoLabels:
    return NoLabels(
        f"{where}: no column says what the images are; the columns are {', '.join(names[:8])}.",
        hint="Say which one does: columns: {label: NAME}, or {is_anomaly: NAME} where it holds 0"
        " and 1.",
        column="label",
    )


def _entries(name: str, text: str, naming: _Naming) -> Iterator[tuple[str, dict[str, str]]]:
    names: dict[str, None] = {}
    for where, entry in _objects(name, text):
        names |= dict.fromkeys(entry)
        known = {naming.holds(key, entry): value for key, value in entry.items()}
        wrong = [key for key, value in known.items() if key and isinstance(value, (list, dict))]
        if wrong:
            raise ListingError(f"{where}: {wrong[0]} is not a text.")
        yield where, {key: _plain(v) for key, v in known.items() if key}
    if names:
        naming.insist_on_said([*names], name)
    holds = {naming.holds(each, names) for each in names}
    if names and "path" not in holds:
        raise NoTable(
            f"{name}: no key is `path`; the keys are {', '.join([*names][:8])}.",
            hint="Say what the key is called: columns: {path: NAME}.",
            column="path",
        )
    if names and LABEL_COLUMNS.isdisjoint(holds):
        raise _no_label(name, list(names))


def _objects(name: str, text: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each line of JSON Lines, or each object of an array, with its place."""
    if text.lstrip().startswith("["):
        yield from _array(name, text)
        return
    if name.lower().endswith(".json"):
        raise NoTable(
            f"{name}:1: is no list of images.",
            hint='Write an array, [{"path": "001.png", "label": "good"}, …], or JSON Lines.',
        )
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
        yield where, entry


def _array(name: str, text: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each object of an array with its line and column."""
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        raise NoTable(
            f"{name}:{error.lineno}:{error.colno}: this is not JSON ({error.msg})."
        ) from error
    except RecursionError as error:
        raise NoTable(f"{name}:1: this is not JSON: it is too deep.") from error
    decoder = json.JSONDecoder()
    at, line, seen = text.index("[") + 1, 1, 0
    while text[at := _NO_VALUE.match(text, at).end()] != "]":  # type: ignore[union-attr]
        line, seen = line + text.count("\n", seen, at), at
        where = f"{name}:{line}:{at - text.rfind(chr(10), 0, at)}"
        entry, at = decoder.raw_decode(text, at)
        if not isinstance(entry, dict):
            raise NoTable(f'{where}: is not {{"path": an image, "label": …}}.')
        yield where, entry


def _plain(value: object) -> str:
    return "" if value is None else str(value).strip()


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
        if self._labels.get(said) == "anomaly" and "type" not in entry:
            type_ = said if may_name_type(said, self.products) else ""
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
    path, folder = tidy(entry.get("path", "")), tidy(entry.get("folder", "")).strip("/")
    if not path or ".." in path.split("/"):
        what = f"{path} leads out of the folder of the images" if path else "names no image"
        raise ListingError(f"{where}: {what}.")
    said = next((w for key in LABEL_COLUMNS if (w := entry.get(key, "")) in words.left_out), "")
    label, type_ = (None, "") if said else words.label(entry, where)
    return Row(
        path=path,
        label=label,
        split=_part(entry.get("split", ""), where),
        is_validation=is_validation(entry.get("split", "")),
        type=type_,
        mask=tidy(entry.get("mask", "")),
        group=entry.get("group", ""),
        folder=folder,
        where=where,
        left_out=said,
    )


def tidy(path: str) -> str:
    """Return a path as a table writes it, those of Windows too, with slashes."""
    return path.replace("\\", "/").removeprefix("file://").removeprefix("./")


def _part(said: str, where: str) -> Part | None:
    if not said:
        return None
    if part := part_of(said):
        return part
    raise ListingError(f"{where}: the split {said} is neither train nor test.")
