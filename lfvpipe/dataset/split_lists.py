"""Own splits that text files hold: a name a line, as VOC's ImageSets/Main and YOLO's train.txt."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from lfvpipe.config.spec import NamesIn
from lfvpipe.dataset.candidates import SelectionError
from lfvpipe.dataset.checks.findings import warning
from lfvpipe.dataset.listing import decode
from lfvpipe.dataset.local_files import read_named_file
from lfvpipe.dataset.naming import NameFinder
from lfvpipe.engine.phrases import count_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lfvpipe.config.spec import SplitGlobs
    from lfvpipe.dataset.candidates import Candidate
    from lfvpipe.dataset.checks.findings import Finding
    from lfvpipe.dataset.selection import Split


def read_names(name: str, data: bytes) -> Iterator[tuple[str, str]]:
    """Yield each name with its place, ``train.txt:3``; empty lines and comments say nothing.

    Args:
        name: What messages call the file.
        data: Its bytes, in the encodings of tables.

    Raises:
        ListingError: It is no text.
    """
    text, _ = decode(name, data)
    for number, line in enumerate(text.splitlines(), start=1):
        said = line.strip().replace("\\", "/").removeprefix("./")
        if said and not said.startswith("#"):
            yield f"{name}:{number}", said


def split_lists(own: SplitGlobs) -> list[tuple[Split, str]]:
    """Return the text files of an own split, and the part that each lists."""
    parts: dict[Split, tuple[str, ...] | NamesIn] = {"train": own.train, "test": own.test}
    return [
        (part, file)
        for part, said in parts.items()
        if isinstance(said, NamesIn)
        for file in said.file
    ]


def parts_by_lists(
    own: SplitGlobs, candidates: Sequence[Candidate], found: list[Finding]
) -> dict[str, Split]:
    """Return the part of each image that a text file lists, by the image's id.

    Args:
        own: Names the files.
        candidates: The images.
        found: What a person should know is added to it.

    Raises:
        UserError: A file cannot be read, or an image is in both parts.
    """
    by_name: dict[str, list[Candidate]] = defaultdict(list)
    for each in candidates:
        for name in {each.name, each.member}:
            by_name[name].append(each)
    finder = NameFinder(by_name)
    parts: dict[str, Split] = {}
    first: dict[str, str] = {}
    nowhere: list[str] = []
    for part, file in split_lists(own):
        for where, said in read_names(PurePosixPath(Path(file).as_posix()).name, read_list(file)):
            # VOC writes 1 or -1 behind a name in the lists of a class.
            found_name = finder.find(said, where) or finder.find(said.split()[0], where)
            if found_name is None:
                nowhere.append(said)
                continue
            fitting = by_name[found_name]
            if len(fitting) > 1:
                ids = " or ".join(each.id for each in fitting)
                raise SelectionError(
                    f"{where}: {said} could be {ids}.", hint="Write it with its folders."
                )
            id_ = fitting[0].id
            if parts.setdefault(id_, part) != part:
                raise SelectionError(
                    f"split.from: {id_} is in train and in test ({first[id_]} and {where}).",
                    hint="Take one of the lines out.",
                )
            first.setdefault(id_, where)
    if nowhere:
        text = (
            f"split.from: {count_of(len(nowhere), 'name')} in text files of no image, such as"
            f" {', '.join(nowhere[:3])}"
        )
        found.append(warning("splitting-nothing", text, nowhere))
    return parts


def read_list(file: str) -> bytes:
    """Return the content of a text file of names.

    Raises:
        UserError: It cannot be read.
    """
    return read_named_file(
        f"split.from: {file}",
        Path(file),
        hint="Name a text file on this machine, with the name of an image on each line.",
    )
