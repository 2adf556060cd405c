"""A model whose file was damaged is trained again, and the same comes of it."""

from pathlib import Path

import pytest

from tests import workshop
from tests.workshop import write_archive

pytestmark = pytest.mark.slow

PIPELINE = """\
sources:
  normal: {archive: good.zip}
  anomaly: {archive: bad.zip}
split: {train: 50, test: 50}
model: {effort: fast}
"""


def test_a_damaged_model_is_trained_again_and_the_same_comes_of_it(tmp_path: Path) -> None:
    write_archive(tmp_path / "good.zip", "good", 7, spoilt=False)
    write_archive(tmp_path / "bad.zip", "bad", 5, spoilt=True)
    file, state = tmp_path / "small.yaml", tmp_path / ".lfvpipe" / "service"
    file.write_text(PIPELINE)
    assert workshop.call("run", file).code == 0
    (model,) = state.glob("models/*/model.lfv")
    whole = model.read_bytes()
    model.write_bytes(whole[: len(whole) // 2])
    ran = workshop.call("run", file)
    assert ran.code == 0, ran.err
    again = state / "models" / "2" / "model.lfv"
    assert again.read_bytes() == whole
    assert [path for path in state.glob("scratch/**/*") if path.is_file()] == []
    assert workshop.call("plan", file).code == 0
