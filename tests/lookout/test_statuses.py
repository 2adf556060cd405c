"""The statuses are the service model's own."""

from enum import StrEnum

import pytest

from lfvpipe.lookout import statuses
from lfvpipe.service.protocol.model import service_model


@pytest.mark.parametrize(
    ("ours", "shape"),
    [
        (statuses.DatasetStatus, "DatasetStatus"),
        (statuses.ModelStatus, "ModelStatus"),
        (statuses.PackagingJobStatus, "ModelPackagingJobStatus"),
    ],
)
def test_every_status_of_the_model_is_named(ours: type[StrEnum], shape: str) -> None:
    found = service_model().shape_for(shape)
    assert [str(status) for status in ours] == found.metadata["enum"]
    assert [status.name for status in ours] == [status.value for status in ours]


def test_a_status_as_a_client_receives_it_is_found_in_the_sets() -> None:
    assert "HOSTED" in statuses.MODEL_TRAINED
    assert "TRAINING" not in statuses.MODEL_TRAINED
    assert "A_LATER_STATUS" not in statuses.MODEL_TRAINED | statuses.DATASET_BUSY
