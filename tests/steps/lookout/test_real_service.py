"""The same steps against the embedded service, with a detector that looks at one pixel."""

import io
import json
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from lfvpipe.detector import Example, Settings, Verdict
from lfvpipe.engine.removal import destroy
from lfvpipe.service.embedded import Service
from lfvpipe.service.quotas import Quotas
from lfvpipe.storage import connect


class RedModel:
    """Calls an image anomalous whose first pixel is more red than green."""

    def detect(self, image: Any) -> Verdict:
        with Image.open(io.BytesIO(image) if isinstance(image, bytes) else image) as opened:
            colour: Any = opened.convert("RGB").getpixel((0, 0))
        bad = colour[0] > colour[1]
        return Verdict(bad, 0.9, 0.9 if bad else 0.1, None, (), None)

    def save(self, path: Path) -> None:
        path.write_text(json.dumps("red"))


class RedDetector:
    """Learns nothing."""

    def train(
        self,
        examples: Sequence[Example],
        settings: Settings | None = None,
        *,
        progress: Callable[[str, int, int], None] = lambda _s, _d, _t: None,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> RedModel:
        return RedModel()

    def load(self, path: Path) -> RedModel:
        return RedModel()


def _picture(name: str) -> bytes:
    shade = zlib.crc32(name.encode()) % 100
    colour = (200, shade, 0) if name.startswith("anomaly") else (shade, 200, 0)
    file = io.BytesIO()
    Image.new("RGB", (64, 64), colour).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def real(world: Any) -> Iterator[Any]:
    """Yield the world with the embedded service in place of the stand-in."""
    world.picture = _picture
    few = Quotas(min_train_normal=2, min_test_normal=1, min_test_anomaly=1)
    state, buckets = world.root / "service", world.fresh_context().buckets
    service = Service(state, buckets, region="us-east-1", quotas=few, stand_in=RedDetector())
    world.handler = service.handle_for_owner
    yield world
    service.close()


def _models(world: Any) -> dict[str, str]:
    listed = world.context().lookout.list_models(ProjectName="demo")["Models"]
    return {model["ModelVersion"]: model["Status"] for model in listed}


def test_from_nothing_to_verdicts_and_then_nothing_to_do(real: Any) -> None:
    result = real.run()
    assert {row.step: str(row.error) for row in result.rows if row.error} == {}
    assert set(real.words(result).values()) == {"created"}
    assert real.facts("evaluate")["wrong"] == 0
    assert real.facts("evaluate")["test"]["count"] == 4
    assert real.facts("model")["f1"] == 1.0
    assert set(real.words(real.run(refresh=True)).values()) == {"unchanged"}
    assert _models(real) == {"1": "TRAINED"}
    assert not real.ledger.held


def test_more_data_and_back_again(real: Any) -> None:
    real.run()
    real.train = 5
    words = real.words(real.run())
    assert (words["datasets"], words["model"]) == ("updated", "created")
    real.train = 3
    assert real.run().ok
    assert real.facts("model")["version"] == "1"
    assert _models(real) == {"1": "TRAINED", "2": "TRAINED"}


def test_with_a_lost_ledger_what_is_there_is_adopted_where_that_is_said(real: Any) -> None:
    real.run()
    real.lose_ledger()
    words = real.words(real.take_over())
    assert words["project"] == words["datasets"] == words["model"] == "adopted"
    assert _models(real) == {"1": "TRAINED"}


def test_destroy_leaves_nothing_behind_and_a_new_run_starts_over(real: Any) -> None:
    real.run()
    removed = destroy(real.steps(), real.context(), real.ledger)
    assert "project demo" in removed
    assert real.context().lookout.list_projects()["Projects"] == []
    assert set(real.words(real.run()).values()) == {"created"}


def test_a_server_with_other_local_buckets_is_said_to_have_them(real: Any) -> None:
    elsewhere = connect("local", region="us-east-1", root=real.root / "elsewhere")
    other = Service(real.root / "other", elsewhere, region="us-east-1", stand_in=RedDetector())
    real.handler, real.overrides = (
        other.handle_for_owner,
        ["service.endpoint=http://127.0.0.1:8977"],
    )
    (error,) = [row.error for row in real.run().rows if row.error]
    other.close()
    # By the client's own name: where the server keeps its buckets is not told to clients.
    assert "The bucket demo-bucket does not exist." in error.message
    assert str(real.root / "elsewhere") not in error.message
    assert "lfvpipe run" not in error.message
    assert f"lfvpipe serve --buckets {real.context().buckets_dir}" in error.hint
