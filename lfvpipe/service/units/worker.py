"""The process of an inference unit.

``python -m lfvpipe.service.units.worker MODEL_FILE DETECTOR WIDTH HEIGHT``

It reads images from its standard input and writes verdicts to its standard output until the
input ends, which it does when the service closes it, and also when the service is killed.
"""

import json
import os
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from lfvpipe.errors import UserError
from lfvpipe.service.units.wire import pack, receive, send

if TYPE_CHECKING:
    from lfvpipe.detector import TrainedModel


def main(arguments: list[str]) -> int:
    """Load the model, say so, and judge."""
    requests, answers = sys.stdin.buffer, _take_output()
    try:
        file, detector, width, height = arguments
        model = _load(Path(file), detector, (int(width), int(height)))
    except UserError as error:
        send(answers, _message("refused", " ".join(str(error).split())), b"")
        return 1
    try:
        send(answers, _message("ready", ""), b"")
        _serve(model, requests, answers)
    except (EOFError, BrokenPipeError):
        pass
    return 0


def _take_output() -> BinaryIO:
    """Return the standard output for verdicts alone: what a library prints goes to the log."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return answers


def _load(file: Path, detector: str, size: tuple[int, int]) -> "TrainedModel":
    """Load the model and judge an empty image, so that the first real one waits for nothing."""
    from PIL import Image

    from lfvpipe.detector import load_detector

    model = load_detector(detector).load(file)
    model.detect(Image.new("RGB", size))
    return model


def _serve(model: "TrainedModel", requests: BinaryIO, answers: BinaryIO) -> None:
    while True:
        image = receive(requests)
        send(answers, *_judge(model, image))


def _judge(model: "TrainedModel", image: bytes) -> tuple[bytes, bytes]:
    try:
        return pack(model.detect(image))
    except UserError as error:
        return _message("refused", error.message), b""
    except Exception:  # the boundary of the process: the service logs it and answers 500
        return _message("broken", traceback.format_exc()), b""


def _message(word: str, text: str) -> bytes:
    return json.dumps({word: text}).encode()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
