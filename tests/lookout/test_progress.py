"""A training's progress is read from the message that our service made of it, and from no other."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lfvpipe.lookout.progress import TRAINING, TrainingProgress

amounts = st.integers(0, 999_999_999)


@given(st.from_regex(r"[a-z]+( [a-z]+){0,3}", fullmatch=True), amounts, amounts)
def test_what_is_said_is_read(stage: str, done: int, total: int) -> None:
    progress = TrainingProgress(stage, done, total)
    assert TrainingProgress.from_message(progress.as_message()) == progress


def test_it_is_said_as_the_first_release_said_it() -> None:
    said = TrainingProgress("getting images", 9, 35).as_message()
    assert said == "The model is being trained. Getting images: 9 of 35."


@pytest.mark.parametrize(
    "message",
    [TRAINING, "", "Training completed successfully.", "Image 3 of 9.", f"{TRAINING} 9 of 35."],
)
def test_nothing_is_read_from_another_services_message(message: str) -> None:
    assert TrainingProgress.from_message(message) is None
