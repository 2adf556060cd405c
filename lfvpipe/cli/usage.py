"""What the user says: errors about it, and command lines to say next."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from lfvpipe import storage
from lfvpipe.cli.options import EVERY_STEP
from lfvpipe.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lfvpipe.cli.options import PipelineOptions, StepOptions


class UsageError(UserError):
    """The command line asks for something that is not there."""

    exit_code = 3


def command_line(
    name: str,
    options: PipelineOptions,
    file: str | None = None,
    *,
    selecting: Sequence[str] = (),
) -> str:
    """Return a command line about the same experiments as this one, ready to be pasted.

    What may be secret in an address is left out: the line may be kept, or shown to others.

    Args:
        name: The command.
        options: Of this command line.
        file: How to name the pipeline file; as the user did by default.
        selecting: Words that select steps, as `selecting_words` returns them.
    """
    named = file or options.file
    words = ["lfvpipe", name, *([named] if named else []), *selecting]
    for override in options.overrides:
        words += ["--set", storage.without_secrets_within(override)]
    if options.state_dir:
        words += ["--state-dir", options.state_dir]
    return shlex.join(words)


def selecting_words(options: StepOptions, *, again: bool = False) -> list[str]:
    """Return the words that select the same steps.

    Args:
        options: Of this command line.
        again: They are for the same run once more: what was forced or accepted has been done.
    """
    one_each = {"--from": options.from_, "--until": options.until, "--only": options.only}
    words = [word for flag, step in one_each.items() if step for word in (flag, step)]
    if again:
        return words
    for step in options.force:
        words += ["--force"] if step == EVERY_STEP else ["--force", step]
    for step in options.accept:
        words += ["--accept", step]
    return words
