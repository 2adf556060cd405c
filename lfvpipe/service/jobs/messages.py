"""The texts that become a StatusMessage."""

from typing import Final

TRAINED: Final = "Training completed successfully."
NO_ANOMALY_TESTED: Final = "No anomaly was tested, so precision, recall and F1 score are not known."
CREATED: Final = "The dataset was created successfully."
FAILED: Final = "The service failed; its log has the details."


def status_message(text: object) -> str:
    """Return `text`, such as an error, as one line that the state can hold.

    A name that it quotes may hold half a surrogate pair, which no UTF-8 can: it is spelled out,
    so that telling what went wrong cannot itself go wrong.
    """
    return " ".join(str(text).split()).encode(errors="backslashreplace").decode()
