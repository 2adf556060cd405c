"""The texts that become a StatusMessage."""

from typing import Final

from lfvpipe.lookout.progress import Weights

TRAINED: Final = "Training completed successfully."
NO_ANOMALY_TESTED: Final = "No anomaly was tested, so precision, recall and F1 score are not known."
CREATED: Final = "The dataset was created successfully."
NOT_PUBLISHED: Final = (
    "Its evaluation files are not written yet, which is tried again when somebody looks at the"
    " model: {reason}"
)
WAITS: Final = "The training waits until it can write to the disk, and then goes on:"
FAILED: Final = "The service failed; its log has the details."


def trained_message(f1: float | None, weights_of: int | None = None) -> str:
    """Return what is said of a trained model.

    Args:
        f1: Its F1 score, None where it is not known.
        weights_of: The version whose weights it has; None where it learnt its own.
    """
    parts = [TRAINED]
    if weights_of is not None:
        parts.append(Weights(str(weights_of)).as_message())
    if f1 is None:
        parts.append(NO_ANOMALY_TESTED)
    return " ".join(parts)


def status_message(text: object) -> str:
    """Return `text`, such as an error, as one line that the state can hold.

    A name that it quotes may hold half a surrogate pair, which no UTF-8 can: it is spelled out,
    so that telling what went wrong cannot itself go wrong.
    """
    return " ".join(str(text).split()).encode(errors="backslashreplace").decode()
