"""The index is read the same by both of its readers, and damage to it is never taken for less."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lfvpipe.dataset.index import (
    Image,
    Mask,
    MaskNote,
    Note,
    image_line,
    note_line,
    read_index,
    read_notes,
    read_pieces,
)
from lfvpipe.dataset.lines import DamagedLine, write_lines

# What JSON spells otherwise, what splits lines elsewhere, and what the quick reader looks for.
TRAPS = ['"', "\\", "\u2028", "\r\n", '","path":"images/x","key":"k","size":1', ',"mask":null}\n']
text = st.text(st.characters(exclude_categories=["Cs"])) | st.sampled_from(TRAPS)
name = text.filter(bool)
whole = st.integers(0, 2**40)
masks = st.builds(Mask, name, name, whole, text, st.dictionaries(text, text))
images = st.builds(
    Image,
    id=text,
    label=st.sampled_from(["normal", "anomaly", None]),
    split=st.sampled_from(["train", "test", "evaluate", "unused"]),
    member=text,
    source=text,
    path=name,
    key=name,
    size=whole,
    sha256=text,
    width=whole,
    height=whole,
    mask=st.none() | masks,
)
notes = st.builds(
    Note,
    id=text,
    origin=text,
    mode=text,
    changes=st.lists(text).map(tuple),
    pixels=text,
    likeness=text,
    problem=text,
    mask=st.none()
    | st.builds(
        MaskNote,
        width=whole,
        height=whole,
        colours=st.lists(text).map(tuple),
        strangers=st.lists(text).map(tuple),
        problem=text,
    ),
)


def files_of(index: list[Image]) -> list[tuple[str, int, str]]:
    parts = [part for image in index for part in (image, image.mask)]
    return [(part.path, part.size, part.sha256) for part in parts if part]


@settings(deadline=None)  # files are synced
@given(st.lists(images))
def test_any_index_is_read_the_same_by_both_readers(written: list[Image]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, write_lines(Path(folder), map(image_line, written))[0])
        assert list(read_index(file)) == written
        assert read_pieces(file) == files_of(written)


@settings(deadline=None)  # files are synced
@given(st.lists(notes))
def test_notes_are_read_as_they_were_written(written: list[Note]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, write_lines(Path(folder), map(note_line, written))[0])
        assert list(read_notes(file)) == written


def image(number: int, mask: Mask | None = None) -> Image:
    return Image(
        f"n/{number}.png", "normal", "train", f"{number}.png", "n",
        f"images/n/{number}.png", f"k/{number}", number, "0f" * 32, 64, 64, mask,
    )  # fmt: skip


MASK = Mask("images/m/1.png", "masks/1", 7, "0f" * 32, {"anomaly": "#23A436"})
INDEX = [image(1), image(2, MASK), image(3)]


@pytest.fixture
def index(tmp_path: Path) -> Path:
    return tmp_path / write_lines(tmp_path, map(image_line, INDEX))[0]


def test_fields_in_another_order_are_the_same_files(index: Path) -> None:
    lines = [json.loads(line) for line in index.read_text().splitlines()]
    lines[1]["mask"] = dict(reversed(lines[1]["mask"].items()))
    turned = [dict(reversed(line.items())) for line in lines]
    for some in ([turned[0], *lines[1:]], [lines[0], lines[1], turned[2]], turned):
        index.write_text("".join(json.dumps(line, separators=(",", ":")) + "\n" for line in some))
        assert sorted(read_pieces(index)) == sorted(files_of(INDEX))


@pytest.mark.parametrize(
    ("before", "after", "line"),
    [
        ('"size":2,', "", 2),
        ('"path":"images/m/1.png",', "", 2),
        (',"mask":null}\n{"id":"n/2', '}\n{"id":"n/2', 1),
        ('"height":64,"mask":null}\n', "", 1),
    ],
)
def test_a_line_that_cannot_be_read_is_an_error_that_says_where(
    index: Path, before: str, after: str, line: int
) -> None:
    damaged = index.read_text().replace(before, after, 1)
    assert damaged != index.read_text()
    index.write_text(damaged)
    with pytest.raises(DamagedLine) as caught:
        read_pieces(index)
    assert (caught.value.file, caught.value.line) == (index, line)
    assert f"{index}:{line}:" in caught.value.message


@pytest.mark.parametrize("lost", range(2, 200, 7))
def test_an_index_that_was_cut_short_is_an_error(index: Path, lost: int) -> None:
    index.write_bytes(index.read_bytes()[:-lost])
    with pytest.raises(DamagedLine):
        read_pieces(index)
