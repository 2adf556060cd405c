"""Where the converted network is kept."""

from pathlib import Path

import numpy as np
import pytest

from lfvpipe.detector import tuning
from lfvpipe.detector.backbone import network


@pytest.mark.parametrize(
    ("platform", "env", "part"),
    [
        ("linux", {"XDG_CACHE_HOME": "/x"}, "/x/lfvpipe"),
        ("linux", {}, ".cache/lfvpipe"),
        ("darwin", {}, "Library/Caches/lfvpipe"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/lfvpipe/cache"),
        ("linux", {"LFVPIPE_CACHE_DIR": "/mine"}, "/mine"),
    ],
)
def test_the_cache_is_where_the_platform_keeps_caches(
    platform: str, env: dict[str, str], part: str
) -> None:
    assert network.cache_folder(env, platform).as_posix().endswith(part)


def test_the_cache_needs_no_home_where_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", nobody)
    assert network.cache_folder({"XDG_CACHE_HOME": "/x"}, "linux") == Path("/x/lfvpipe")
    with pytest.raises((FileExistsError, NotADirectoryError)):
        network.cache_folder({}, "linux").mkdir(parents=True)


def test_a_damaged_or_unwritable_cache_is_survived(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LFVPIPE_CACHE_DIR", str(tmp_path))
    build = network._session.__wrapped__
    build(4)
    (cached,) = (tmp_path / "backbones").glob("*.onnx")
    cached.write_bytes(b"damaged")
    with pytest.warns(UserWarning, match="made again"):
        build(4)
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LFVPIPE_CACHE_DIR", str(tmp_path / "file"))
    with pytest.warns(UserWarning, match="LFVPIPE_CACHE_DIR"):
        build(4)


def test_weights_that_changed_a_little_are_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LFVPIPE_CACHE_DIR", str(tmp_path))
    build = network._session.__wrapped__
    build(4)
    (cached,) = (tmp_path / "backbones").glob("*.onnx")
    whole = cached.read_bytes()
    middle = len(whole) // 2
    cached.write_bytes(whole[:middle] + bytes(4096) + whole[middle + 4096 :])
    network.start_session(str(cached))  # which loads, and would judge otherwise
    with pytest.warns(UserWarning, match="is made again: its digest does not fit"):
        build(4)
    assert cached.read_bytes() == whole
    (noted,) = (tmp_path / "backbones").glob("*.sha256")
    noted.unlink()  # as a version left it that noted none
    cached.write_bytes(whole[:middle] + bytes(4096) + whole[middle + 4096 :])
    build(4)
    assert cached.read_bytes() == whole


def test_strips_make_the_maps_that_the_whole_image_makes(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (336, 112, 3)).astype(np.uint8)
    monkeypatch.setattr(tuning, "STEM_STRIP_PIXELS", 336 * 112)
    whole = network.network().taps(pixels)
    for rows in (64, 144, 256):
        monkeypatch.setattr(tuning, "STEM_STRIP_PIXELS", rows * 112)
        for part, expected in zip(network.network().taps(pixels), whole, strict=True):
            np.testing.assert_allclose(part, expected, atol=1e-5)
