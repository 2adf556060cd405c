"""What the first release left in a ledger is read, and written again as it was."""

import json
from pathlib import Path
from typing import Any

import pytest

from lfvpipe.engine.facts import StepFacts, StepOutcome
from lfvpipe.steps.attempts import AttemptSaved, SavedFacts
from lfvpipe.steps.bucket import BucketOutcome, BucketSaved
from lfvpipe.steps.check import CheckOutcome
from lfvpipe.steps.datasets.outcome import DatasetsIdentity, DatasetsOutcome, DatasetsSaved
from lfvpipe.steps.evaluate.outcome import EvaluateIdentity, EvaluateOutcome
from lfvpipe.steps.extract.outcome import ExtractOutcome
from lfvpipe.steps.fetch import FetchOutcome
from lfvpipe.steps.hosting import Hosting, HostingSaved
from lfvpipe.steps.manifests import ManifestsIdentity, ManifestsOutcome, ManifestsSaved
from lfvpipe.steps.model.outcome import ModelIdentity, ModelOutcome, ModelSaved
from lfvpipe.steps.project import ProjectIdentity, ProjectOutcome, ProjectSaved
from lfvpipe.steps.report import ReportOutcome, ReportSaved
from lfvpipe.steps.select.outcome import SelectOutcome
from lfvpipe.steps.upload.outcome import Destination, UploadIdentity, UploadOutcome

FIRST_RELEASE: dict[str, Any] = json.loads(
    (Path(__file__).parent / "fixtures" / "outcomes-0.1.0.json").read_text("utf-8")
)
OUTCOMES: list[type[StepOutcome]] = [
    SelectOutcome,
    ExtractOutcome,
    CheckOutcome,
    BucketOutcome,
    UploadOutcome,
    ManifestsOutcome,
    ProjectOutcome,
    DatasetsOutcome,
    ModelOutcome,
    EvaluateOutcome,
    ReportOutcome,
]


@pytest.mark.parametrize("kind", OUTCOMES, ids=lambda kind: kind.step)
def test_an_outcome_is_written_byte_by_byte_as_the_first_release_wrote_it(
    kind: type[StepOutcome],
) -> None:
    facts = FIRST_RELEASE[kind.step]["facts"]
    assert json.dumps(kind.from_json(facts).as_json()) == json.dumps(facts)


def test_what_was_fetched_is_written_as_ever() -> None:
    facts = FIRST_RELEASE["fetch:normal"]["facts"]
    assert json.dumps(FetchOutcome.from_json(facts).as_json()) == json.dumps(facts)


@pytest.mark.parametrize(
    ("step", "kind"),
    [
        ("upload", UploadIdentity),
        ("manifests", ManifestsIdentity),
        ("project", ProjectIdentity),
        ("datasets", DatasetsIdentity),
        ("model", ModelIdentity),
        ("evaluate", EvaluateIdentity),
    ],
)
def test_what_later_steps_depend_on_has_not_changed(step: str, kind: type[StepFacts]) -> None:
    identity = FIRST_RELEASE[step]["identity"]
    assert json.dumps(kind.from_json(identity).as_json()) == json.dumps(identity)


PLACE = {"endpoint": "local", "region": "us-east-1"}


@pytest.mark.parametrize(
    ("saved", "expected"),
    [
        ({"nonce": "ab"}, AttemptSaved("ab")),
        ({"creating": "parts", **PLACE}, BucketSaved("parts", "local", "us-east-1")),
        ({"creating": None}, BucketSaved()),
        (
            {**PLACE, "name": "parts", "prefix": "", "index": "index/1", "digest": "0"},
            Destination("local", "us-east-1", "parts", "", "index/1", "0"),
        ),
        (
            {"creating": ["a", "b"], "bucket": "parts", "endpoint": "local"},
            ManifestsSaved(("a", "b"), "parts", "local"),
        ),
        ({"creating": ["a"]}, ManifestsSaved(("a",))),
        ({"nonce": "ab", "creating": "demo"}, ProjectSaved("demo")),
        ({"creating_train": "0"}, DatasetsSaved(creating_train="0")),
        (
            {"after": 1, "project": "p", "fingerprint": "f", "bucket_endpoint": "local",
             "nonce": "ab", "version": None, "failed_versions": ["2"]},
            ModelSaved(None, 1, "p", "f", "local", ("2",)),
        ),
        ({"version": "2"}, ModelSaved("2")),
        (
            {"held": {"project": "p", "version": "1", "endpoint": "embedded"}},
            HostingSaved(Hosting("p", "1", "embedded")),
        ),
        ({"held": None}, HostingSaved()),
        ({"created": "2026-01-01T00:00:00Z", "attempt": 1}, ReportSaved("2026-01-01T00:00:00Z", 1)),
    ],
)  # fmt: skip
def test_what_an_attempt_of_the_first_release_saved_is_taken_up(
    saved: Any, expected: SavedFacts | Destination
) -> None:
    assert type(expected).from_json(saved) == expected


def test_a_model_of_a_ledger_from_before_endpoints_were_kept_is_read() -> None:
    facts = dict(FIRST_RELEASE["model"]["facts"])
    for name in ("bucket_endpoint", "fingerprint", "failed_versions"):
        del facts[name]
    assert ModelOutcome.from_json(facts).bucket_endpoint is None
