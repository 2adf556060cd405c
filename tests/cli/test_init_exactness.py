"""What `init` writes takes what it saw and showed: a file that comes later has no label unseen."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from lfvpipe.engine.ledger import Ledger
from lfvpipe.steps.select.outcome import SelectOutcome
from tests.end_to_end.test_init_layouts import many, mask, put

if TYPE_CHECKING:
    from pathlib import Path


def _selected(here: Path) -> dict[str, str]:
    """Return the label of each image that the standing selection takes."""
    (ledger,) = here.glob(".lfvpipe/*/ledger.json")
    standing = SelectOutcome.standing(Ledger.load(ledger), "default")
    assert standing is not None
    lines = map(json.loads, (ledger.parent / standing.selection).read_text("utf-8").splitlines())
    return {line["member"]: line["label"] for line in lines if line["split"] != "evaluate"}


LATER = ["{}.png", "almost_{}.png", "{}_scratch.png", "nearly_ok.png", "x/{}.png", "looked/{}.png"]


@pytest.mark.parametrize(
    ("files", "words"),
    [
        (["ok_{}.png", "ng_{}.png"], []),
        (["{}_ok.png", "{}_not_ok.png"], []),
        (["{}_ok.png", "{}_nok.png"], []),
        (["a{}.png", "b{}.png"], ["--normal", "a*", "--anomaly", "b*"]),
        (["a{}.png", "b{}.png"], ["--normal", "a*", "--anomaly", "./b*"]),
        (["training/ok_{}.png", "validation/ok_9{}.png", "validation/ng_{}.png"], []),
        (["SN70/{}_ok.png", "SN71/{}_ok.png", "SN80/{}_ng.png"], []),
        (["cam1/ok/{}.png", "cam1/nok/{}.png", "cam2/ok/{}.png"], []),
        (["NG-47_{}_OK.png", "NG-47_{}_NG.png"], []),
        (["[A] 1/good {}.png", "[A] 1/bad {}.png"], []),
        (["20240501_OK_{}.png", "20240501_NG_{}.png"], []),
        (["shot OK cam{}.png", "shot n.i.O. cam{}.png"], []),
    ],
)
def test_what_comes_later_under_other_names_is_left_out_and_said(
    files: list[str], words: list[str], here: Path, lfvpipe: Any
) -> None:
    put(here / "p", *(many(pattern, 12) for pattern in files))
    made = lfvpipe("init", "p", *words)
    assert made.code == 0, made.err
    if not any("/" in pattern for pattern in files):
        assert "taken for one product" not in made.out
    assert lfvpipe("run", "--until", "select").code == 0
    before = _selected(here)
    folders = {pattern.rpartition("/")[0].replace("cam1/", "cam3/") for pattern in files}
    new = {folder for folder in folders if not folder.startswith("cam2")}
    put(here / "p", *(many(f"{folder}/q{later}", 3) for folder in new for later in LATER))
    # As `lfvpipe detect --heat-maps p/looked p` names them, and as a person would.
    for name in [*before][:3]:
        put(here / "p/looked", [f"{name}.heat.png", name])
    said = lfvpipe("run", "--until", "select")
    assert said.code == 0, said.err
    assert _selected(here) == before
    assert "not used:" in said.err


def test_a_folder_that_is_named_takes_what_is_put_into_it(here: Path, lfvpipe: Any) -> None:
    put(here / "p", many("good/{}.png", 20), many("bad/{}.png", 12))
    assert lfvpipe("init", "p").code == 0
    put(here / "p/good", many("monday/{}.png", 3))
    put(here / "p/good", ["looked/1.png.heat.png", "@eaDir/2.png/SYNOPHOTO_THUMB_M.jpg"])
    said = lfvpipe("run", "--until", "select")
    assert sum(label == "normal" for label in _selected(here).values()) == 23
    assert "1 @eadir/" in said.err
    assert "1 heat map" in said.err


def test_masks_beside_the_images_are_named_by_their_ending(here: Path, lfvpipe: Any) -> None:
    put(here / "p", many("good/{}.png", 20), many("bad/{}.png", 12))
    for name in many("bad/{}_mask.png", 12):
        (here / "p" / name).write_bytes(mask())
    assert lfvpipe("init", "p").code == 0
    written = (here / "pipeline.yaml").read_text()
    assert 'exclude: "bad/*_mask.*"' in written
    assert lfvpipe("run", "--until", "select").code == 0
    assert len(_selected(here)) == 32


def test_a_glob_from_the_top_is_about_the_top_alone(here: Path, lfvpipe: Any) -> None:
    put(here / "p", many("{}.png", 12), many("x/{}.png", 12))
    made = lfvpipe("init", "p", "--normal", "./*", "--anomaly", "x")
    assert "12 normal images in p/" in made.out
    assert lfvpipe("run", "--until", "select").code == 0
    labels = _selected(here)
    assert {labels[name] for name in labels if "/" not in name} == {"normal"}
    assert {labels[name] for name in labels if "/" in name} == {"anomaly"}


def test_images_to_judge_are_called_by_their_archive_once(here: Path, lfvpipe: Any) -> None:
    put(here / "p", many("good/{}.png", 20), many("bad/{}.png", 12), many("test/t{}.png", 2))
    assert lfvpipe("init", "p").code == 0
    assert lfvpipe("run", "--until", "select").code == 0
    (file,) = here.glob(".lfvpipe/*/selection/*.jsonl")
    lines = map(json.loads, file.read_text("utf-8").splitlines())
    judged = [line["id"] for line in lines if line["split"] == "evaluate"]
    assert judged == ["evaluate-0/t1.png", "evaluate-0/t2.png"]
