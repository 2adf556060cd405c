"""What a command reads: one frozen dataclass a command, each field with its option beside it.

The parser, `--help`, completion and the page of commands are derived from these classes. A field
is `name: Annotated[type, Option(…)] = default`:

- ``bool`` is a flag, a ``Literal`` a choice, a ``tuple`` may be given several times;
- an option without a flag is told by its place: with a default it may be left out;
- options that several commands share are named here, once; so are the classes that they share.

A command's own class stands in its module, and `run(options: ThatClass)` says that it reads it.
"""

from __future__ import annotations

from argparse import ArgumentTypeError
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from lfvpipe.cluster.addresses import scheduler_of

if TYPE_CHECKING:
    from collections.abc import Callable

Group = Literal["target", "config", "command", "state", "output", "debug"]
DEFAULT_FILE = "pipeline.yaml"
STATE_FOLDER = ".lfvpipe"
LOCAL = "local"
EVERY_STEP = "*"  # what --force and --why stand for without a name


class Option:
    """How the command line gives a field of an options class.

    Args:
        flags: Such as ``--state-dir``; none for an argument that is told by its place.
        about: What `--help` says of it.
        metavar: What `--help` calls its value.
        read: Makes the value of a word; by default ``int`` for an int, else the word itself.
        alone: The value where the flag stands without a word; None where it wants one.
        is_greedy: The flag takes all the words that follow it.
        group: Where it stands in `--help`, which goes through the groups in their order.
        completes: What a shell offers for its value.
    """

    def __init__(
        self,
        *flags: str,
        about: str,
        metavar: str | None = None,
        read: Callable[[str], Any] | None = None,
        alone: str | None = None,
        is_greedy: bool = False,
        group: Group = "command",
        completes: Literal["file", "folder", "step", "page"] | None = None,
    ) -> None:
        self.flags = flags
        self.about = about
        self.metavar = metavar
        self.read = read
        self.alone = alone
        self.is_greedy = is_greedy
        self.group = group
        self.completes = completes


def at_least(least: int) -> Callable[[str], int]:
    """Return a reader of whole numbers, for argparse, that refuses those under `least`."""

    def number(text: str) -> int:
        if (value := int(text)) < least:
            raise ArgumentTypeError(f"{value} is too little; at least {least} is wanted")
        return value

    number.__name__ = "whole number"  # argparse says "invalid whole number value"
    return number


def compute(text: str) -> str:
    """Read where work is done, for argparse."""
    if text != LOCAL:
        try:
            scheduler_of(text)
        except ValueError as error:
            raise ArgumentTypeError(f"{error}, nor {LOCAL}") from None
    return text


def seconds(text: str) -> float:
    """Read a time in seconds, for argparse: neither negative nor endless."""
    if not 0 <= (value := float(text)) < float("inf"):
        raise ArgumentTypeError(f"{text} is no time to wait; 0 or more is wanted")
    return value


Json = Annotated[bool, Option("--json", about="print facts as one JSON document", group="output")]
ModelVariant = Annotated[
    str | None,
    Option(
        "--variant",
        metavar="NAME",
        about="matrix: whose model, by its name or a part of it (default: that of the variant"
        " judged last)",
        group="target",
    ),
]
LogFormat = Annotated[
    Literal["human", "json"],
    Option(
        "--log-format",
        about="progress for people or as JSON lines, on standard error (default: human)",
        group="output",
    ),
]
Refresh = Annotated[
    bool,
    Option("--refresh", about="look at the bucket and the service too, and report what drifted"),
]
Why = Annotated[
    str | None,
    Option(
        "--why",
        metavar="STEP",
        alone=EVERY_STEP,
        about="print every reason why this step (without a name: each step) would run",
        completes="step",
    ),
]


@dataclass(frozen=True, kw_only=True)
class Options:
    """What every command reads."""

    debug: Annotated[bool, Option("--debug", about="show tracebacks", group="debug")] = False

    @classmethod
    def from_words(cls, **given: Any) -> Self:
        """Return the options; a class overrides this where argparse cannot tell words apart.

        Args:
            given: By field what the command line says; what it does not say is left out.
        """
        return cls(**given)

    @property
    def state_folder(self) -> Path | None:
        """The folder of state that the command line leads to; None where it names none."""
        return None

    @property
    def state_root(self) -> Path | None:
        """The folder of all state that the command works with; None where it has none."""
        return None


@dataclass(frozen=True, kw_only=True)
class PipelineOptions(Options):
    """What names the experiments of a pipeline file, and where their state lies."""

    file: Annotated[
        str | None,
        Option(
            metavar="PIPELINE",
            about="the pipeline file (default: pipeline.yaml)",
            completes="file",
        ),
    ] = None
    overrides: Annotated[
        tuple[str, ...],
        Option(
            "--set",
            metavar="KEY=VALUE",
            about="override a key for this time, such as sample.percent=100; may be repeated",
            group="config",
        ),
    ] = ()
    state_dir: Annotated[
        str | None,
        Option(
            "--state-dir",
            metavar="DIR",
            about="where state is kept (default: .lfvpipe beside the pipeline file)",
            group="state",
            completes="folder",
        ),
    ] = None

    @property
    def pipeline_file(self) -> Path:
        """The pipeline file that the user means, absolute; it need not exist."""
        return Path(self.file or DEFAULT_FILE).absolute()

    @property
    def state_root(self) -> Path:
        """The folder of all state: `--state-dir`, or ``.lfvpipe`` beside the pipeline file."""
        if self.state_dir:
            return Path(self.state_dir).absolute()
        return self.pipeline_file.parent / STATE_FOLDER

    @property
    def state_folder(self) -> Path | None:
        """The folder of all state, where the file or the folder is named."""
        return self.state_root if self.state_dir or self.file else None


@dataclass(frozen=True, kw_only=True)
class LockOptions(PipelineOptions):
    """What a command reads that holds the pipeline's lock."""

    lock_timeout: Annotated[
        float,
        Option(
            "--lock-timeout",
            metavar="SECONDS",
            read=seconds,
            about="wait so long for another run to end (default: 0)",
            group="state",
        ),
    ] = 0.0


@dataclass(frozen=True, kw_only=True)
class StepOptions(PipelineOptions):
    """Which steps a run is about, and which of them it takes as stale or as done."""

    from_: Annotated[
        str | None,
        Option(
            "--from",
            metavar="STEP",
            about="begin at this step",
            group="target",
            completes="step",
        ),
    ] = None
    until: Annotated[
        str | None,
        Option(
            "--until",
            metavar="STEP",
            about="end with this step",
            group="target",
            completes="step",
        ),
    ] = None
    only: Annotated[
        str | None,
        Option(
            "--only",
            metavar="STEP",
            about="this step and no other",
            group="target",
            completes="step",
        ),
    ] = None
    force: Annotated[
        tuple[str, ...],
        Option(
            "--force",
            metavar="STEP",
            alone=EVERY_STEP,
            about="run this step (without a name: every selected step) even if it is fresh",
            group="target",
        ),
    ] = ()
    accept: Annotated[
        tuple[str, ...],
        Option(
            "--accept",
            metavar="STEP",
            about="take this step's last outcome as good for the present configuration",
            group="target",
            completes="step",
        ),
    ] = ()

    @classmethod
    def from_words(cls, **given: Any) -> Self:
        """Give back to PIPELINE what ``--force PIPELINE`` or ``--why PIPELINE`` took for a step."""
        force, why = given.get("force", ()), given.get("why")
        file = next((word for word in (*force, why) if word and is_pipeline_file(word)), None)
        if file is not None and not given.get("file"):
            given |= {"file": file, "force": tuple(EVERY_STEP if w == file else w for w in force)}
            if why == file:
                given["why"] = EVERY_STEP
        return cls(**given)


def is_pipeline_file(word: str) -> bool:
    """Tell whether a word of the command line names a pipeline file."""
    return word.endswith((".yaml", ".yml"))
