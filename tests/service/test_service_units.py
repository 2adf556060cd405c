"""Inference units: pools of stand-ins, and real processes with the real detector."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from PIL import Image

import lfvpipe
from lfvpipe.detector import Anomaly, Example, Settings, Verdict, train
from lfvpipe.errors import UserError
from lfvpipe.lookout.api import LookoutClient
from lfvpipe.lookout.failures import LookoutError
from lfvpipe.service.units.pool import Pool, PoolClosed, Timing
from lfvpipe.service.units.process import ModelSource, ProcessUnit, UnitDied
from lfvpipe.service.units.wire import pack, unpack

pytestmark = pytest.mark.slow

QUICK = Timing(idle=0.02, look=0.01)


@dataclass(eq=False)
class StandIn:
    """A unit that answers when `gate` is open, and dies of the image b"poison"."""

    gate: threading.Event
    alive: bool = True
    closed: bool = False
    asked: list[bytes] = field(default_factory=list)

    def detect(self, image: bytes) -> Verdict:
        self.asked.append(image)
        while not self.gate.wait(0.005) and self.alive:
            pass
        if not self.alive or image == b"poison":
            self.alive = False
            raise UnitDied("dead")
        if image == b"blank":
            raise UserError("not an image")
        return Verdict(False, 0.9, 0.1, None)

    def kill(self) -> None:
        self.alive = False

    def close(self) -> None:
        self.closed = True


@dataclass
class Factory:
    units: list[StandIn] = field(default_factory=list)
    gate: threading.Event = field(default_factory=threading.Event)
    errors: list[Exception] = field(default_factory=list)
    pools: list[Pool] = field(default_factory=list)

    def launch(self) -> StandIn:
        if self.errors:
            raise self.errors.pop()
        self.units.append(StandIn(self.gate))
        return self.units[-1]

    def pool(self, least: int = 1, most: int = 1, **more: Any) -> Pool:
        pool = Pool(self.launch, least, most, **more)
        self.pools.append(pool)
        return pool

    def open(self, least: int = 1, most: int = 1, **more: Any) -> Pool:
        pool = self.pool(least, most, **more)
        pool.open()
        return pool


@pytest.fixture
def factory() -> Iterator[Factory]:
    made = Factory()
    yield made
    made.gate.set()
    for pool in made.pools:
        pool.close()


def until(condition: Callable[[], Any]) -> None:
    pause = threading.Event()  # never set
    while not condition():
        pause.wait(0.005)


def test_a_pool_has_the_least_number_of_units_once_it_is_open(factory: Factory) -> None:
    assert factory.open(3, 3).size == 3


def test_it_grows_while_requests_wait_and_shrinks_when_they_do_not(factory: Factory) -> None:
    pool = factory.open(1, 3, timing=QUICK)
    with ThreadPoolExecutor(8) as threads:
        answers = [threads.submit(pool.detect, b"image") for _ in range(8)]
        until(lambda: pool.size == 3)
        factory.gate.set()
        assert [each.result().is_anomalous for each in answers] == [False] * 8
    assert all(unit.asked for unit in factory.units)
    until(lambda: pool.size == 1)
    assert [unit.closed for unit in factory.units].count(True) == 2


def test_requests_are_answered_in_the_order_they_came(factory: Factory) -> None:
    pool = factory.open()
    with ThreadPoolExecutor(6) as threads:
        answers = []
        for number in range(6):
            answers.append(threads.submit(pool.detect, str(number).encode()))
            until(partial(lambda count: len(pool._queue) == count, number))
        factory.gate.set()
        for each in answers:
            each.result()
    assert factory.units[0].asked == [b"0", b"1", b"2", b"3", b"4", b"5"]


def test_a_dead_unit_is_replaced_and_its_request_asked_again(factory: Factory) -> None:
    pool = factory.open()
    with ThreadPoolExecutor(1) as threads:
        answer = threads.submit(pool.detect, b"image")
        until(lambda: factory.units[0].asked)
        factory.units[0].kill()
        factory.gate.set()
        assert answer.result().is_anomalous is False
    assert [unit.asked for unit in factory.units] == [[b"image"]] * 2
    assert factory.units[0].closed


def test_a_unit_that_dies_in_its_sleep_is_replaced(factory: Factory) -> None:
    pool = factory.open(timing=QUICK)
    factory.units[0].kill()
    until(lambda: len(factory.units) == 2 and pool.size == 1)


def test_a_hung_unit_is_killed_and_its_request_asked_again(factory: Factory) -> None:
    pool = factory.open(timing=replace(QUICK, longest=0.3))
    factory.units[0].gate = threading.Event()  # that nobody opens
    factory.gate.set()
    assert pool.detect(b"image").is_anomalous is False
    assert [unit.asked for unit in factory.units] == [[b"image"]] * 2


def test_an_image_that_kills_is_given_up_and_harms_nobody_else(factory: Factory) -> None:
    factory.gate.set()
    pool = factory.open()
    with pytest.raises(UnitDied):
        pool.detect(b"poison")
    assert pool.detect(b"image").is_anomalous is False
    assert len(factory.units) == 4


def test_a_pool_is_closed_as_soon_as_its_last_request_is_answered(factory: Factory) -> None:
    pool = factory.open(timing=Timing(look=600, idle=600))
    with ThreadPoolExecutor(2) as threads:
        answer = threads.submit(pool.detect, b"image")
        until(lambda: factory.units[0].asked)
        closed = threads.submit(pool.close)
        until(lambda: pool.closed)
        threading.Event().wait(0.05)  # so that the keeper waits again
        factory.gate.set()
        answer.result()
        closed.result(timeout=60)  # not after the next look


def test_under_little_load_one_unit_does_all_the_work(factory: Factory) -> None:
    factory.gate.set()
    pool = factory.open(3, 3)
    for _ in range(6):
        pool.detect(b"image")
    assert sorted(len(unit.asked) for unit in factory.units) == [0, 0, 6]


def test_a_pool_that_grows_starts_one_unit_at_a_time(factory: Factory) -> None:
    starting, most, go = [], [], threading.Event()

    def launch() -> StandIn:
        starting.append(1)
        most.append(len(starting))
        if len(most) > 1:  # not the one that it opens with
            go.wait(30)
        starting.pop()
        return factory.launch()

    pool = Pool(launch, 1, 5, timing=Timing(look=0.01))
    factory.pools.append(pool)
    pool.open()
    with ThreadPoolExecutor(5) as clients:
        for _ in range(5):
            clients.submit(pool.detect, b"image")
        until(lambda: len(pool._queue) == 4)
        until(lambda: starting)
        threading.Event().wait(0.1)  # in which the keeper looks several times
        go.set()
        until(lambda: pool.size == 5)
        factory.gate.set()
    assert max(most) == 1


def test_an_image_that_cannot_be_judged_keeps_its_unit(factory: Factory) -> None:
    factory.gate.set()
    pool = factory.open()
    with pytest.raises(UserError):
        pool.detect(b"blank")
    pool.detect(b"image")
    assert len(factory.units) == 1


def test_a_model_that_cannot_be_loaded_opens_no_pool(factory: Factory) -> None:
    factory.errors.append(UserError("damaged"))
    with pytest.raises(UserError, match="damaged"):
        factory.pool(2).open()
    assert all(unit.closed for unit in factory.units)


def test_nobody_waits_for_units_that_cannot_be_started(factory: Factory) -> None:
    pool = factory.open()
    factory.errors.append(UnitDied("no memory"))
    factory.gate.set()
    with pytest.raises(UnitDied, match="no memory"):
        pool.detect(b"poison")


def test_closing_waits_for_the_last_answer(factory: Factory) -> None:
    pool = factory.open()
    with ThreadPoolExecutor(3) as threads:
        answers = [threads.submit(pool.detect, b"image") for _ in range(2)]
        until(lambda: len(pool._queue) == 1)
        closing = threads.submit(pool.close)
        until(lambda: pool.closed)
        with pytest.raises(PoolClosed):
            pool.detect(b"late")
        assert not closing.done()
        factory.gate.set()
        closing.result()
        assert [each.result().confidence for each in answers] == [0.9, 0.9]
    assert factory.units[0].closed


def test_a_pool_that_nobody_wants_closes_itself(factory: Factory) -> None:
    wanted = threading.Event()
    wanted.set()
    pool = factory.open(2, 2, is_wanted=wanted.is_set, timing=QUICK)
    wanted.clear()
    until(lambda: all(unit.closed for unit in factory.units))
    assert pool.closed


def test_a_pool_is_resized(factory: Factory) -> None:
    pool = factory.open(1, 1, timing=QUICK)
    pool.resize(3, 3)
    until(lambda: pool.size == 3)
    pool.resize(1, 1)
    until(lambda: pool.size == 1)


def photograph(number: int, *, bad: bool) -> bytes:
    pixels = np.random.default_rng(number).normal(128, 10, (64, 64, 3))
    if bad:
        pixels[20:40, 20:40] += 80
    file = BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(file, "PNG")
    return file.getvalue()


@pytest.fixture(scope="module")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a model of the real detector."""
    folder = tmp_path_factory.mktemp("units")
    examples = []
    for number in range(12):
        path = folder / f"{number}.png"
        path.write_bytes(photograph(number, bad=number >= 7))
        examples.append(Example(path, "anomaly" if number >= 7 else "normal"))
    train(examples, Settings(sides=(64,), views=1)).save(folder / "model.lfv")
    return folder / "model.lfv"


def test_a_process_judges_as_the_detector_does(model_file: Path, tmp_path: Path) -> None:
    from lfvpipe.detector import load

    unit = ProcessUnit(
        ModelSource(model_file, "default", (64, 64)), tmp_path / "logs" / "hosting.log"
    )
    image = photograph(20, bad=True)
    here, there = load(model_file).detect(image), unit.detect(image)
    assert there.is_anomalous is here.is_anomalous
    assert (there.confidence, there.probability) == pytest.approx(
        (here.confidence, here.probability), abs=1e-6
    )
    with pytest.raises(UserError, match="cannot be read as an image"):
        unit.detect(b"\x89PNG\r\n\x1a\nbroken")
    assert unit.alive
    psutil.Process(unit.pid).kill()
    with pytest.raises(UnitDied):
        unit.detect(image)
    unit.close()


def test_a_damaged_model_is_told_by_the_process(tmp_path: Path) -> None:
    (tmp_path / "model.lfv").write_bytes(b"nonsense")
    with pytest.raises(UserError, match=r"model\.lfv"):
        ProcessUnit(
            ModelSource(tmp_path / "model.lfv", "default", (64, 64)), tmp_path / "hosting.log"
        )


def units_of(file: Path) -> list[psutil.Process]:
    children = psutil.Process().children()
    return [each for each in children if str(file) in _command(each)]


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def test_a_verdict_passes_between_processes_but_for_its_heat_map() -> None:
    heat = np.zeros((2, 2), np.float32)
    anomalies = (Anomaly("background", "#FFFFFF", 1.0),)
    verdict = Verdict(True, 0.9, 0.9, heat, anomalies, b"a mask", 2.5)
    facts, mask = pack(verdict)
    assert unpack(json.loads(facts)["verdict"], mask) == replace(verdict, heat_map=None)


@pytest.fixture
def real(trained: Any, world: Any, model_file: Path) -> tuple[LookoutClient, Path]:
    """Return a client of a service like that of `serve`, and the file of its trained model."""
    file: Path = next((world.state_dir / "models").glob("*/*"))
    file.write_bytes(model_file.read_bytes())
    return world.client(stand_in=None), file


def detect(client: LookoutClient, number: int, *, bad: bool) -> bool:
    answer = client.detect_anomalies(
        ProjectName="p",
        ModelVersion="1",
        Body=photograph(number, bad=bad),
        ContentType="image/png",
    )
    return bool(answer["DetectAnomalyResult"]["IsAnomalous"])


def test_hosting_means_processes_that_survive_being_killed(
    real: tuple[LookoutClient, Path], world: Any, waits: Any
) -> None:
    client, file = real
    client.start_model(ProjectName="p", ModelVersion="1", MinInferenceUnits=2)
    waits.hosting(client)
    first = units_of(file)
    assert len(first) == 2
    for unit in first:
        unit.kill()
    with ThreadPoolExecutor(4) as threads:
        judge = partial(detect, client, bad=True)
        assert list(threads.map(judge, range(30, 36))) == [True] * 6
    assert not detect(client, 36, bad=False)
    world.services[-1].close()  # the server ends; the model stays HOSTED in its state
    assert units_of(file) == []
    again = world.client(stand_in=None)
    until(lambda: len(units_of(file)) == 2)  # and is hosted again before anybody asks
    assert detect(again, 37, bad=True)
    again.stop_model(ProjectName="p", ModelVersion="1")
    waits.hosting(again, "TRAINED")
    assert units_of(file) == []


def test_a_model_that_cannot_be_hosted_again_is_not_stuck(
    real: tuple[LookoutClient, Path], world: Any, waits: Any
) -> None:
    client, file = real
    client.start_model(ProjectName="p", ModelVersion="1", MinInferenceUnits=1)
    waits.hosting(client)
    world.services[-1].close()
    file.write_bytes(b"damaged")
    again = world.client(stand_in=None)

    def state() -> Any:
        return again.describe_model(ProjectName="p", ModelVersion="1")["ModelDescription"]

    until(lambda: state()["Status"] == "HOSTING_FAILED")
    assert "model.lfv" in state()["StatusMessage"]
    again.start_model(ProjectName="p", ModelVersion="1", MinInferenceUnits=1)
    with pytest.raises(LookoutError, match="HOSTING_FAILED"):
        waits.hosting(again)


def test_an_embedded_service_has_processes_only_for_several_units(
    real: tuple[LookoutClient, Path], world: Any, waits: Any
) -> None:
    _, file = real
    client = world.client(stand_in=None, isolated=False)
    for least, processes in ((1, 0), (2, 2)):
        client.start_model(ProjectName="p", ModelVersion="1", MinInferenceUnits=least)
        waits.hosting(client)
        assert detect(client, 38, bad=True)
        assert len(units_of(file)) == processes
        client.stop_model(ProjectName="p", ModelVersion="1")
        waits.hosting(client, "TRAINED")


HOST = """
import sys, time
from pathlib import Path
from lfvpipe.service.embedded import Service
from lfvpipe.storage import connect
root = Path(sys.argv[1])
buckets = connect("local", region="us-east-1", root=root / "buckets")
service = Service(root / "service", buckets, region="us-east-1")
print("open", flush=True)
time.sleep(600)
"""


def test_a_killed_server_leaves_no_unit_behind_and_the_next_hosts_again(
    real: tuple[LookoutClient, Path], world: Any, waits: Any
) -> None:
    client, file = real
    client.start_model(ProjectName="p", ModelVersion="1", MinInferenceUnits=1)
    waits.hosting(client)
    world.services[-1].close()
    environment = os.environ | {"PYTHONPATH": str(Path(lfvpipe.__file__).parent.parent)}
    server = psutil.Popen(
        [sys.executable, "-c", HOST, str(world.root)], env=environment, stdout=subprocess.PIPE
    )
    try:
        assert server.stdout.readline() == b"open\n"
        until(lambda: any(str(file) in _command(unit) for unit in server.children()))
        units = server.children()
    finally:
        server.kill()
        server.wait()
        server.stdout.close()
    _, alive = psutil.wait_procs(units, timeout=60)
    assert not alive
    again = world.client(stand_in=None)
    assert detect(again, 40, bad=True)
    again.stop_model(ProjectName="p", ModelVersion="1")
    waits.hosting(again, "TRAINED")
