"""Archives in archives in archives: one level is read, and what lies deeper is named."""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING

from lfvpipe.cli.main import main
from tests.end_to_end.layouts import Files, packed_by_dos, pictures, write

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def packed(files: Files) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def test_what_lies_too_deep_is_named_by_init_validate_and_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    deep = packed({"more.zip": packed(pictures("{}.png", 3, 500)), **pictures("{}.png", 30)})
    write(tmp_path, {"good.zip": {"day.zip": deep}, "bad.zip": pictures("{}.png", 20, 100)})
    monkeypatch.chdir(tmp_path)
    assert main(["init", "good.zip", "bad.zip"]) == 0
    assert "1 archive too deep inside, or damaged: good/day/more.zip" in capsys.readouterr().out
    assert main(["validate"]) == 0
    told = capsys.readouterr().out
    assert "good.zip: 1 archive inside is not read, such as day/more.zip: an archive in it" in told
    assert main(["run", "--until", "check"]) == 0
    assert "1 archive inside is not read, such as day/more.zip" in capsys.readouterr().err


def test_nothing_but_what_lies_too_deep_is_refused_with_its_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    deep = packed({"more.zip": packed(pictures("{}.png", 3))})
    write(tmp_path, {"good.zip": {"day.zip": deep}, "bad.zip": pictures("{}.png", 20, 100)})
    monkeypatch.chdir(tmp_path)
    assert main(["init", "good.zip"]) == 3
    assert "passed over: 1 archive too deep inside, or damaged: good/day/more.zip" in (
        capsys.readouterr().err
    )
    (tmp_path / "pipeline.yaml").write_text(
        "sources: {normal: {archive: good.zip}, anomaly: {archive: bad.zip}}\n", encoding="utf-8"
    )
    assert main(["run", "--until", "check"]) == 1
    assert "day/more.zip lies too deep or is damaged" in capsys.readouterr().err


def test_a_guess_at_names_is_told_by_init_and_validate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {
        f"{label}/{name}".encode("gbk"): data
        for label, count in (("良品", 30), ("不良品", 20))
        for name, data in pictures("{}.png", count, count).items()
    }
    (tmp_path / "all.zip").write_bytes(packed_by_dos(files))
    monkeypatch.chdir(tmp_path)
    assert main(["init", "all.zip"]) == 0
    told = capsys.readouterr().out
    assert "names in all.zip read as gbk, though big5 or cp949 would fit as well" in told
    assert main(["validate"]) == 0
    told = capsys.readouterr().out
    assert "read as gbk, though big5 or cp949 would fit as well. Should they look wrong" in told
    assert ": 30 images" in told


def test_init_takes_no_images_that_a_run_does_not_reach(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    days = {}
    for at, day in ((0, "monday"), (100, "tuesday")):
        good, bad = (packed(pictures("{}.png", n, at + 50 * (n == 9))) for n in (20, 9))
        days[f"{day}.zip"] = packed({"good.zip": good, "bad.zip": bad})
    write(tmp_path, {f"photos/{name}": data for name, data in days.items()})
    monkeypatch.chdir(tmp_path)
    assert main(["init", "photos"]) == 0
    capsys.readouterr()
    assert main(["validate"]) == 0
    told = capsys.readouterr().out
    assert ": 40 images" in told
    assert ": 18 images" in told
