import pytest

from lfvpipe.steps.model.training import counted


@pytest.mark.parametrize(
    ("message", "amount"),
    [
        ("The model is being trained. Features: 9 of 35.", (9, 35)),
        ("The model is being trained.", (0, None)),
        ("Training completed successfully.", (0, None)),
        ("One of 3.", (0, None)),
    ],
)
def test_a_services_progress_is_read_from_its_message(
    message: str, amount: tuple[int, int | None]
) -> None:
    assert counted(message) == amount
