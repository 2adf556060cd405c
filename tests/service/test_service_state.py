"""A state folder of 0.1.0 opens, and what its process left unfinished is finished.

`fixtures/service-0.1.0.sql` is a dump of a service.db that 0.1.0 wrote: project `p` with an update
under way, a trained model, a hosted one and one that waits for a worker, a packaged component, and
the client tokens of all that. Its times begin at 1.7e9.
"""

import json
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from lfvpipe.errors import UserError
from lfvpipe.lookout.api import LookoutClient
from lfvpipe.service import locks
from lfvpipe.service.embedded import model_file, model_status, stands_still
from lfvpipe.service.state import projects
from lfvpipe.service.state.database import Database
from lfvpipe.service.state.schema import MIGRATIONS, VERSION
from lfvpipe.steps.pruning.service_objects import used_keys

DUMP = Path(__file__).parent / "fixtures" / "service-0.1.0.sql"
OUTPUT = {"S3Location": {"Bucket": "bucket", "Prefix": "out_"}}


@pytest.fixture
def old_state(world: Any) -> Path:
    """A folder as 0.1.0 left it, with the images that its dataset names."""
    world.put_images(8, 4)
    state: Path = world.state_dir
    state.mkdir()
    buckets = json.dumps(str(world.root / "buckets"))[1:-1]
    with closing(sqlite3.connect(state / "service.db")) as database:
        database.executescript(DUMP.read_text("utf-8").replace("@BUCKETS@", buckets))
    for identity in (1, 2):
        file = state / "models" / str(identity) / "model.lfv"
        file.parent.mkdir(parents=True)
        file.write_text("false", "utf-8")  # a ColourModel of the tests
    return state


@pytest.fixture
def reopen(old_state: Path, world: Any) -> Callable[..., LookoutClient]:
    """Open today's service over the folder, a minute after 0.1.0's last request."""

    def begin(**options: Any) -> LookoutClient:
        client: LookoutClient = world.client(clock=lambda: 1.7e9 + 90, **options)
        return client

    return begin


def idle(_runtime: object) -> Callable[[], bool]:
    return lambda: True


def test_what_0_1_0_stored_reads_as_it_was(reopen: Any) -> None:
    client = reopen(launch=idle)
    names = [each["ProjectName"] for each in client.list_projects()["Projects"]]
    assert names == ["empty", "p"]
    first = client.describe_model(ProjectName="p", ModelVersion="1")["ModelDescription"]
    assert (first["Description"], first["Status"]) == ("first", "TRAINED")
    assert first["Performance"] == {"F1Score": 1.0, "Recall": 1.0, "Precision": 1.0}
    assert first["EvaluationManifest"]["Key"] == "out_EvaluationManifest-p-1.json"
    assert first["CreationTimestamp"].timestamp() == 1.7e9 + 8
    second = client.describe_model(ProjectName="p", ModelVersion="2")["ModelDescription"]
    assert (second["MinInferenceUnits"], second["MaxInferenceUnits"]) == (1, 2)
    assert second["KmsKeyId"] == "alias/k"
    tags = client.list_tags_for_resource(ResourceArn=first["ModelArn"])["Tags"]
    assert tags == [{"Key": "line", "Value": "seven"}]
    job = client.describe_model_packaging_job(ProjectName="p", JobName="job")
    described = job["ModelPackagingDescription"]
    assert described["Status"] == "SUCCEEDED"
    made = described["ModelPackagingOutputDetails"]["Greengrass"]
    assert made["ComponentVersion"] == "1.0.0"


def test_a_model_that_0_1_0_hosted_can_be_asked(reopen: Any, world: Any) -> None:
    client = reopen(launch=idle)
    image = world.picture((64, 64), (200, 0, 0))
    answer = client.detect_anomalies(
        ProjectName="p", ModelVersion="2", Body=image, ContentType="image/png"
    )
    assert answer["DetectAnomalyResult"]["IsAnomalous"]


def test_what_0_1_0_left_unfinished_is_finished(reopen: Any, waits: Any) -> None:
    client = reopen()
    described = waits.dataset(client)
    assert described["Status"] == "UPDATE_COMPLETE"
    assert described["ImageStats"] == {"Total": 12, "Labeled": 12, "Normal": 8, "Anomaly": 4}
    assert waits.model(client, "3")["Status"] == "TRAINED"


def test_a_retry_of_a_call_to_0_1_0_is_the_same_call(reopen: Any) -> None:
    client = reopen(launch=idle)
    create: Any = {"ProjectName": "p", "OutputConfig": OUTPUT, "ClientToken": "create-3"}
    assert client.create_model(**create)["ModelMetadata"]["ModelVersion"] == "3"
    assert len(client.list_models(ProjectName="p")["Models"]) == 3


def test_the_state_tells_a_status_without_being_opened_for_writing(old_state: Path) -> None:
    before = (old_state / "service.db").read_bytes()
    assert model_status(old_state, "us-east-1", "p", "3") == "TRAINING"
    assert model_status(old_state, "us-east-1", "p", "4") is None
    assert (old_state / "service.db").read_bytes() == before
    assert sorted(path.name for path in old_state.iterdir()) == ["models", "service.db"]


def test_a_training_stands_still_that_was_begun_and_that_nobody_is_at(old_state: Path) -> None:
    where = (old_state, "us-east-1", "p", "3")
    with closing(sqlite3.connect(old_state / "service.db")) as state, state:
        state.execute("UPDATE models SET attempts = 0 WHERE version = 3")
    assert not stands_still(*where)  # it waits for its turn
    with closing(sqlite3.connect(old_state / "service.db")) as state, state:
        state.execute("UPDATE models SET attempts = 1 WHERE version = 3")
        ((identity,),) = state.execute("SELECT id FROM models WHERE version = 3").fetchall()
    assert stands_still(*where)
    assert not (old_state / "locks").exists()
    (old_state / "locks").mkdir()
    with locks.Locks(old_state / "locks").held(locks.model(identity)) as ours:
        assert ours
        assert not stands_still(*where)
    assert stands_still(*where)


def test_a_model_file_of_0_1_0_is_found(old_state: Path) -> None:
    assert model_file(old_state, "us-east-1", "p", "1") == old_state / "models" / "1" / "model.lfv"
    assert model_file(old_state, "us-east-1", "p", "3") is None  # in training


def test_the_models_of_0_1_0_are_those_of_the_default_detector(
    old_state: Path, reopen: Any
) -> None:
    reopen(launch=idle)
    with closing(sqlite3.connect(old_state / "service.db")) as database:
        rows = database.execute("SELECT detector, COUNT(*) FROM models GROUP BY detector")
        assert rows.fetchall() == [("default", 3)]
        assert database.execute("PRAGMA user_version").fetchone() == (VERSION,)


def test_an_update_of_the_state_that_breaks_off_leaves_it_as_it_was(
    old_state: Path, world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = "ALTER TABLE models ADD COLUMN detector TEXT; ALTER TABLE nothing ADD COLUMN x;"
    broken = {**MIGRATIONS, 1: bad}
    with monkeypatch.context() as patch:
        patch.setattr("lfvpipe.service.state.database.MIGRATIONS", broken)
        with pytest.raises(UserError, match="cannot be opened"):
            world.open()
    with closing(sqlite3.connect(old_state / "service.db")) as database:
        assert database.execute("PRAGMA user_version").fetchone() == (1,)
        columns = [row[1] for row in database.execute("PRAGMA table_info(models)")]
    assert "detector" not in columns
    world.open(launch=idle)  # and it can be opened after that


def test_a_state_of_a_later_version_is_left_alone(old_state: Path, world: Any) -> None:
    with closing(sqlite3.connect(old_state / "service.db")) as database:
        database.execute("PRAGMA user_version = 99")
    with pytest.raises(UserError, match="newer lfvpipe") as caught:
        world.open()
    assert "format 99" in str(caught.value)


def test_what_is_to_follow_a_transaction_follows_in_order_and_only_if_it_ended_well(
    tmp_path: Path,
) -> None:
    database = Database(tmp_path / "service.db")
    followed: list[str] = []
    with database.write() as tx:
        tx.after(lambda: followed.append("first"))
        tx.after(lambda: followed.append("second"))
        assert followed == []
    assert followed == ["first", "second"]

    def break_off() -> None:
        with database.write() as tx:
            projects.create(tx, name="p", arn="a", created=0.0)
            tx.after(lambda: followed.append("third"))
            raise KeyError

    with pytest.raises(KeyError):
        break_off()
    with database.read() as tx:
        assert not projects.exists(tx, "p")
    assert followed == ["first", "second"]
    database.close()


@pytest.mark.parametrize("where", ["the head", "the middle", "the version"])
def test_a_database_that_cannot_be_used_is_let_go_of_at_once(where: str, tmp_path: Path) -> None:
    """What is put in its place would else be written to by what closes late."""
    file = tmp_path / "service.db"
    Database(file).close()
    data = bytearray(file.read_bytes())
    if where == "the version":
        with closing(sqlite3.connect(file)) as database:
            database.execute(f"PRAGMA user_version = {VERSION + 1}")
    elif where == "the head":
        file.write_bytes(b"nonsense" * 512)
    else:
        file.write_bytes(data[:100] + bytes(len(data) - 100))
    with pytest.raises(UserError) as caught:
        Database(file)
    held = [opened.path for opened in psutil.Process().open_files() if str(tmp_path) in opened.path]
    assert held == [], caught.value
    assert [each.name for each in tmp_path.iterdir()] == ["service.db"]


def test_those_who_read_before_they_write_wait_for_one_another(tmp_path: Path) -> None:
    database = Database(tmp_path / "service.db")
    with database.write() as tx:
        projects.create(tx, name="p", arn="a", created=0.0)

    def take() -> int:
        with database.write() as tx:
            projects.get(tx, "p")
            time.sleep(0.002)  # in which the others come
            return projects.take_version(tx, "p")

    with ThreadPoolExecutor(8) as threads:
        taken = [each.result() for each in [threads.submit(take) for _ in range(24)]]
    assert sorted(taken) == list(range(1, 25))
    database.close()


def test_what_killed_jobs_left_goes_when_the_state_is_opened_but_not_a_trainings(
    dataset: Any, world: Any
) -> None:
    scratch = world.state_dir / "scratch"
    idle = world.client(launch=lambda _runtime: lambda: True)
    idle.create_model(ProjectName="p", OutputConfig=OUTPUT)
    for name in ("content-7", "packaging-7", "model-7", "model-1"):
        (scratch / name).mkdir(parents=True)
        (scratch / name / "half").write_bytes(b"half")
    world.client()
    assert [folder.name for folder in scratch.iterdir()] == ["model-1"]


def test_files_of_a_deleted_model_that_a_power_cut_brought_back_go_and_others_stay(
    trained: Any, client: Any, world: Any
) -> None:
    """What a database never gave may be all that is left of one that was lost."""
    client.delete_model(ProjectName="p", ModelVersion="1")
    folder = world.state_dir / "models"
    world.open().close()
    for number in ("1", "7", "notes"):
        (folder / number).mkdir(parents=True, exist_ok=True)
        (folder / number / "model.lfv").write_text("weights")
    world.open()
    assert sorted(path.name for path in folder.iterdir()) == ["7", "notes"]


def test_objects_in_use_are_told_however_a_line_spells_them_and_not_amid_an_update(
    dataset: Any, client: Any, world: Any, waits: Any
) -> None:
    """What a prune goes by: it removes no object that a data set names."""
    del dataset  # it is there
    context: Any = SimpleNamespace(service_dir=world.state_dir)
    line = '{"source-ref":"s3:\\/\\/bucket\\/normal\\/0.png"}'
    client.update_dataset_entries(ProjectName="p", DatasetType="train", Changes=line.encode())
    waits.dataset(client)
    used = used_keys(context, "bucket")
    assert used is not None
    assert {"normal/0.png", "normal/1.png"} <= used
    with closing(sqlite3.connect(world.state_dir / "service.db")) as state:
        state.execute("UPDATE datasets SET status = 'UPDATE_IN_PROGRESS'")
        state.commit()
    assert used_keys(context, "bucket") is None
