"""The process of an inference unit: ``python -m lfvpipe.service.units.worker MODEL_FILE``.

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
    from lfvpipe.detector import Model


def main(arguments: list[str]) -> int:
    """Load the model, say so, and judge."""
    requests, answers = sys.stdin.buffer, _own_output()
    try:
        model = _warm(Path(arguments[0]))
    except UserError as error:
        send(answers, _say("refused", " ".join(str(error).split())), b"")
        return 1
    try:
        send(answers, _say("ready", ""), b"")
        _serve(model, requests, answers)
    except (EOFError, BrokenPipeError):
        pass
    return 0


def _own_output() -> BinaryIO:
    """Return the standard output for verdicts alone: what a library prints goes to the log."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return answers


def _warm(file: Path) -> "Model":
    """Load the model and judge an empty image, so that the first real one waits for nothing."""
    from PIL import Image

    from lfvpipe.detector import load

    model = load(file)
    model.detect(Image.new("RGB", model.info.image_size))
    return model


def _serve(model: "Model", requests: BinaryIO, answers: BinaryIO) -> None:
    while True:
        image = receive(requests)
        send(answers, *_judged(model, image))


def _judged(model: "Model", image: bytes) -> tuple[bytes, bytes]:
    try:
        return pack(model.detect(image))
    except UserError as error:
        return _say("refused", error.message), b""
    except Exception:  # the boundary of the process: the service logs it and answers 500
        return _say("broken", traceback.format_exc()), b""


def _say(word: str, text: str) -> bytes:
    return json.dumps({word: text}).encode()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
