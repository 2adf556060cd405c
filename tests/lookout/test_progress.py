"""A training's progress is read from the message that our service made of it, and from no other."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lfvpipe.lookout.progress import TRAINING, TrainingProgress, Weights


@given(
    st.from_regex(r"[a-z]+( [a-z]+){0,3}", fullmatch=True),
    st.none() | st.floats(0, 1),
    st.none() | st.floats(0, 1e6),
)
def test_what_is_said_is_read(doing: str, share: float | None, seconds: float | None) -> None:
    progress = TrainingProgress.of(doing, share, seconds)
    assert TrainingProgress.from_message(progress.as_message()) == progress


@pytest.mark.parametrize(
    ("seconds", "left"),
    [
        *((0.0, "5 s"), (12.0, "10 s"), (24.0, "20 s"), (50.0, "45 s"), (53.0, "1 min")),
        *((100.0, "2 min"), (5000.0, "83 min"), (6000.0, "2 h")),
    ],
)
def test_it_is_said_in_plain_words_and_as_roughly_as_it_is_known(seconds: float, left: str) -> None:
    said = TrainingProgress.of("looks at the images", 0.409, seconds)
    assert said.phrase == f"looks at the images, 40 %, about {left} left"
    message = f"The model is being trained. It looks at the images: 40 %, about {left} left."
    assert said.as_message() == message


def test_what_another_detector_calls_its_stages_is_said_as_it_is() -> None:
    said = TrainingProgress.of("colours: of all\nimages", None, None)
    assert said.as_message() == "The model is being trained. It colours of all images."
    assert said.phrase == "colours of all images"


@pytest.mark.parametrize(
    "message",
    [
        *(
            TRAINING,
            "",
            "Training completed successfully.",
            "Image 3 of 9.",
            f"{TRAINING} 9 of 35.",
        ),
        f"{TRAINING} Getting images: 9 of 35.",  # 0.1.0's of an earlier day
    ],
)
def test_nothing_is_read_from_another_services_message(message: str) -> None:
    assert TrainingProgress.from_message(message) is None


def test_whose_weights_a_version_has_is_read_from_its_message() -> None:
    told = f"Training completed successfully. {Weights('12').as_message()} And more."
    assert Weights.from_message(told) == Weights("12")
    assert Weights.from_message("Training completed successfully.") is None
