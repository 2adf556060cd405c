"""True and predicted masks on the page: outlines, figures by type, what is taken for what."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy
import pytest
from PIL import Image, ImageDraw

from lfvpipe.dataset.index import Mask
from lfvpipe.report.outlines import outline
from lfvpipe.report.page import write_page
from lfvpipe.report.records import RunRecord, Verdict

MakeRun = Callable[..., RunRecord]
CRACK, HOLE = "#23A436", "#B71717"
SIDE = 48  # of the pictures here: a tenth of that of outlines

Marks = Mapping[str, tuple[tuple[int, int, int, int], ...]]  # boxes by colour


def _painted(file: Path, marks: Marks, side: int = SIDE) -> None:
    mask = Image.new("RGB", (side, side), "#FFFFFF")
    for colour, boxes in marks.items():
        for left, top, right, bottom in boxes:
            mask.paste(colour, (left, top, right, bottom))
    file.parent.mkdir(exist_ok=True)
    mask.save(file)


class Judged:
    """Makes images with their masks, and the page of their verdicts."""

    def __init__(self, folder: Path, make_run: MakeRun) -> None:
        self.folder, self.make_run = folder, make_run
        self.verdicts: list[Verdict] = []
        self.masks: dict[str, Mask] = {}

    def add(
        self,
        truth: Marks | None,
        predicted: Marks | None,
        types: tuple[str, ...] = (),
        side: int = SIDE,
    ) -> None:
        """Add an image; without a true mask it is normal."""
        name = f"{len(self.verdicts)}.png"
        Image.new("RGB", (SIDE, SIDE), 90).save(self.folder / name)
        classes = {"crack": CRACK, "hole": HOLE}
        if truth is not None:
            _painted(self.folder / "true" / name, truth)
            self.masks[name] = Mask(f"true/{name}", "", 1, "", classes)
        if predicted is not None:
            _painted(self.folder / "predicted" / name, predicted, side)
        self.verdicts.append(
            Verdict(
                id=name,
                name=name,
                label="normal" if truth is None else "anomaly",
                is_anomalous=bool(predicted),
                confidence=0.9,
                path=name,
                mask=None if predicted is None else f"predicted/{name}",
                anomalies=tuple(
                    {"Name": each, "PixelAnomaly": {"Color": colour, "TotalPercentageArea": 0.1}}
                    for each, colour in classes.items()
                ),
                types=types,
            )
        )

    @property
    def html(self) -> str:
        run = self.make_run(verdicts={"evaluation": tuple(self.verdicts)}, verdict_files={})
        return write_page(self.folder, run, true_masks=self.masks).read_text(encoding="utf-8")


@pytest.fixture
def judged(tmp_path: Path, make_run: MakeRun) -> Judged:
    return Judged(tmp_path, make_run)


def _rows(html: str, caption: str) -> list[list[str]]:
    table = html.partition(f"<caption>{caption}")[2].partition("</table>")[0]
    cells = r"<t[hd][^>]*>([^<]*)</t[hd]>"
    return [re.findall(cells, row) for row in re.findall(r"<tr>(.*?)</tr>", table, re.DOTALL)[1:]]


def test_both_masks_are_outlined_over_the_picture(judged: Judged) -> None:
    judged.add({CRACK: ((10, 20, 30, 25),)}, {CRACK: ((10, 20, 20, 25),)})
    judged.add(None, None)
    html = judged.html
    assert re.findall(r'<path class="truth" d="([^"]*)"', html) == ["M100 200H300V250H100z"]
    assert re.findall(r'<path class="predicted" d="([^"]*)"', html) == ["M100 200H200V250H100z"]
    assert html.count('viewBox="0 0 480.0 480.0"') == 1
    assert re.findall(r">IoU ([^<]*)<", html) == ["0.50"]
    assert "the true mask</span>" in html
    assert "the predicted mask</span>" in html


def test_figures_by_type_count_all_pixels_of_a_set(judged: Judged) -> None:
    judged.add({CRACK: ((0, 0, 10, 10),)}, {CRACK: ((0, 0, 10, 5),)}, types=("crack",))
    judged.add({HOLE: ((0, 0, 10, 10),)}, {CRACK: ((0, 0, 10, 5),)}, types=("hole",))
    judged.add(None, {CRACK: ((0, 0, 10, 5),)})
    html = judged.html
    dash = "\N{EN DASH}"
    assert _rows(html, "Predicted masks, by type of anomaly: pixels of 3 images together") == [
        # of 100 true pixels and 150 predicted ones, 50 are both
        ["crack", "1", "0.400", "0.250", "0.333", "0.500"],
        ["hole", "1", "0.000", "0.000", dash, "0.000"],
    ]
    assert _rows(html, "Which type is taken for which") == [
        ["crack", "50 %", "0 %", "50 %"],
        ["hole", "50 %", "0 %", "50 %"],
    ]


def test_one_type_is_taken_for_no_other(judged: Judged) -> None:
    judged.add({CRACK: ((0, 0, 10, 10),)}, {CRACK: ((0, 0, 10, 5),)})
    assert "Which type is taken for which" not in judged.html


def test_masks_of_two_sizes_are_compared_at_the_true_ones(judged: Judged) -> None:
    judged.add({CRACK: ((10, 20, 30, 26),)}, {CRACK: ((5, 10, 15, 13),)}, side=SIDE // 2)
    html = judged.html
    paths = re.findall(r'<path class="(?:truth|predicted)" d="([^"]*)"', html)
    assert paths == ["M100 200H300V260H100z"] * 2
    assert ">IoU 1.00<" in html


def test_a_colour_that_no_type_is_named_for_is_shown_all_the_same(judged: Judged) -> None:
    judged.add({CRACK: ((10, 20, 30, 26),)}, {"#123456": ((10, 20, 30, 26),)})
    html = judged.html
    assert html.count('<path class="predicted"') == 1
    assert _rows(html, "Which type is taken for which") == [["crack", "100 %", "0 %", "0 %"]]


def _blob(radius: int) -> list[list[bool]]:
    image = Image.new("1", (SIDE, SIDE))
    ImageDraw.Draw(image).ellipse((24 - radius, 24 - radius, 24 + radius, 24 + radius), fill=1)
    return [[bool(image.getpixel((x, y))) for x in range(SIDE)] for y in range(SIDE)]


def _boxes(marked: list[list[bool]]) -> tuple[tuple[int, int, int, int], ...]:
    return tuple((x, y, x + 1, y + 1) for y in range(SIDE) for x in range(SIDE) if marked[y][x])


def test_loose_masks_are_told(judged: Judged) -> None:
    for _ in range(3):
        judged.add({CRACK: ((0, 0, 30, 30),)}, {CRACK: ((5, 5, 25, 25),)})
    assert "3 of 3 true masks are upright rectangles." in judged.html
    assert "times as large" not in judged.html
    for _ in range(4):
        judged.add({CRACK: _boxes(_blob(20))}, {CRACK: _boxes(_blob(5))})
    html = judged.html
    assert "upright rectangles" not in html  # three of seven: others take care
    assert "4 of 7 true masks are at least 4 times as large as what the model marks" in html


def test_what_is_drawn_closely_is_not_called_loose(judged: Judged) -> None:
    for _ in range(3):
        judged.add({CRACK: _boxes(_blob(8))}, {CRACK: _boxes(_blob(6))})
    for _ in range(3):  # the model has marked something else
        judged.add({CRACK: _boxes(_blob(8))}, {CRACK: ((0, 0, 4, 4),)})
    assert "loose masks</span>" not in judged.html


@pytest.mark.parametrize("content", [None, b"", b"no picture"])
def test_a_mask_that_cannot_be_read_is_not_shown(judged: Judged, content: bytes | None) -> None:
    judged.add({CRACK: ((0, 0, 10, 10),)}, {CRACK: ((0, 0, 10, 10),)})
    for file in (judged.folder / "true" / "0.png", judged.folder / "predicted" / "0.png"):
        if content is None:
            file.unlink()
        else:
            file.write_bytes(content)
    html = judged.html
    assert html.count("<path class=") == 0
    assert 'class="name"' in html


def _filled(path: str, side: int = 480) -> Image.Image:
    """Draw a path of outlines as a browser does, by the even-odd rule."""
    whole = numpy.zeros((side, side), bool)
    for loop in path.split("z")[:-1]:
        parts = re.findall(r"([MHV])([\d.]+)(?: ([\d.]+))?", loop)
        points: list[tuple[float, float]] = []
        for letter, first, second in parts:
            x, y = points[-1] if points else (0.0, 0.0)
            points.append(
                {
                    "M": (float(first), float(second or 0)),
                    "H": (float(first), y),
                    "V": (x, float(first)),
                }[letter]
            )
        one = numpy.zeros((side, side), bool)
        for (x, y), (_, below) in zip(points, [*points[1:], points[0]], strict=True):
            upper, lower = sorted((round(y), round(below)))
            one[upper:lower, round(x) :] ^= True
        whole ^= one
    return Image.fromarray(whole)


@pytest.mark.parametrize("seed", range(8))
def test_an_outline_encloses_just_what_is_marked(seed: int) -> None:
    marked = numpy.random.default_rng(seed).random((24, 24)) < (0.1 + seed / 10)
    drawn = numpy.asarray(_filled(outline(marked)))
    assert (drawn == numpy.kron(marked, numpy.ones((20, 20), bool))).all()


def test_a_crack_one_pixel_wide_is_outlined_in_a_large_picture() -> None:
    marked = numpy.zeros((3000, 4000), bool)
    marked[1500, 100:3900] = True
    assert outline(marked).count("M") == 1


def test_what_is_ragged_takes_little_of_the_page() -> None:
    marked = numpy.random.default_rng(0).random((2000, 2000)) < 0.5
    assert len(outline(marked)) < 40_000
