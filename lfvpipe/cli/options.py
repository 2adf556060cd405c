"""The options of all commands, each declared once."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class Option:
    """One option or positional argument, as argparse's `add_argument` takes it."""

    flags: tuple[str, ...]
    settings: dict[str, Any]


def option(*flags: str, **settings: Any) -> Option:
    """Declare an option once."""
    return Option(flags, settings)


def at_least(least: int) -> Callable[[str], int]:
    """Return a reader of whole numbers, for argparse, that refuses those under `least`."""

    def number(text: str) -> int:
        if (value := int(text)) < least:
            raise argparse.ArgumentTypeError(f"{value} is too little; at least {least} is wanted")
        return value

    number.__name__ = "whole number"  # argparse says "invalid whole number value"
    return number


def seconds(text: str) -> float:
    """Read a time in seconds, for argparse: neither negative nor endless."""
    if not 0 <= (value := float(text)) < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is no time to wait; 0 or more is wanted")
    return value


FILE = option(
    "file",
    nargs="?",
    default=None,
    metavar="PIPELINE",
    help="the pipeline file (default: pipeline.yaml)",
)
SET = option(
    "--set",
    action="append",
    default=[],
    metavar="KEY=VALUE",
    dest="overrides",
    help="override a key for this time, such as sample.percent=100; may be repeated",
)
STATE_DIR = option(
    "--state-dir",
    metavar="DIR",
    help="where state is kept (default: .lfvpipe beside the pipeline file)",
)
LOCK_TIMEOUT = option(
    "--lock-timeout",
    type=seconds,
    default=0.0,
    metavar="SECONDS",
    help="wait so long for another run to end (default: 0)",
)
JSON = option("--json", action="store_true", help="print facts as one JSON document")
REFRESH = option(
    "--refresh",
    action="store_true",
    help="look at the bucket and the service too, and report what drifted",
)
FROM = option("--from", metavar="STEP", dest="from_", help="begin at this step")
UNTIL = option("--until", metavar="STEP", help="end with this step")
ONLY = option("--only", metavar="STEP", help="this step and no other")
FORCE = option(
    "--force",
    action="append",
    nargs="?",
    const="*",
    default=[],
    metavar="STEP",
    help="run this step (without a name: every selected step) even if it is fresh",
)
ACCEPT = option(
    "--accept",
    action="append",
    default=[],
    metavar="STEP",
    help="take this step's last outcome as good for the present configuration",
)
KEEP_GOING = option(
    "--keep-going", action="store_true", help="matrix: go on with the next variant after a failure"
)
JOBS = option(
    "--jobs",
    type=at_least(1),
    default=4,
    metavar="N",
    help="how many independent steps run at once (default: 4)",
)
LOG_FORMAT = option(
    "--log-format",
    choices=("human", "json"),
    default="human",
    help="progress for people or as JSON lines, on standard error (default: human)",
)
WHY = option(
    "--why",
    nargs="?",
    const="*",
    metavar="STEP",
    help="print every reason why this step (without a name: each step) would run",
)
GRAPH_FORMAT = option(
    "--format",
    choices=("terminal", "mermaid"),
    default="terminal",
    help="a drawing for the terminal, or Mermaid text (default: terminal)",
)
TARGETS = option(
    "targets",
    nargs="+",
    metavar="PIPELINE|IMAGE",
    help="the pipeline file whose model is used, then images, folders and globs",
)
MODEL_FILE = option("--model", metavar="FILE", help="use this model file instead of a pipeline's")
CSV = option("--csv", action="store_true", help="print a line per image as CSV")
HEAT_MAPS = option(
    "--heat-maps",
    metavar="FOLDER",
    help="also write each image into this folder, with where the model sees evidence, as a PNG",
)
YES = option("--yes", "-y", action="store_true", help="do not ask")
STATE = option("--state", action="store_true", help="also remove the local state of this pipeline")
PATHS = option(
    "paths", nargs="+", metavar="PATH", help="a folder of images or of archives, or archives"
)
OUTPUT = option(
    "-o",
    "--output",
    default="pipeline.yaml",
    metavar="FILE",
    help="the file to write (default: pipeline.yaml)",
)
OVERWRITE = option("--force", action="store_true", help="overwrite the file if it exists")
SCHEMA = option(
    "schema",
    nargs="?",
    choices=("pipeline", "ledger", "run"),
    default="pipeline",
    help="which schema (default: pipeline)",
)
PAGE = option("page", nargs="?", metavar="PAGE", help="the page to print (default: list the pages)")
SHELL = option("shell", choices=("bash", "zsh", "tcsh", "fish", "powershell"), help="the shell")
SERVE = (
    option("--host", default="127.0.0.1", help="the address to listen at (default: 127.0.0.1)"),
    option("--port", type=int, default=8787, help="0 takes a free one (default: 8787)"),
    option(
        "--state-dir",
        metavar="DIR",
        help="where state is kept (default: .lfvpipe, as for pipelines of this folder)",
    ),
    option(
        "--storage",
        default="local",
        metavar="local|aws|URL",
        help="where images are: local folders, Amazon S3, or any S3 endpoint (default: local)",
    ),
    option(
        "--buckets",
        metavar="DIR",
        help="the folder of the local buckets (default: buckets in the state folder)",
    ),
    option("--region", default="us-east-1", help="named in ARNs (default: us-east-1)"),
    option(
        "--workers",
        type=at_least(1),
        metavar="N",
        help="judge at most so many images at once (default: as many as the inference units can)",
    ),
    option(
        "--credentials",
        metavar="FILE",
        help="access keys to accept, in the form of ~/.aws/credentials (default: credentials in"
        " the state folder, made on the first start)",
    ),
    option("--no-auth", action="store_true", help="accept unsigned requests from this machine"),
    option("--tls-cert", metavar="FILE", help="serve HTTPS with this PEM certificate and chain"),
    option("--tls-key", metavar="FILE", help="its key, if the certificate's file lacks it"),
)
LIMIT = option(
    "--limit",
    type=at_least(0),
    default=20,
    metavar="N",
    help="show the latest N runs, 0 for all (default: 20)",
)
RUNS = option(
    "runs",
    nargs="*",
    metavar="PIPELINE|RUN",
    help="the pipeline file, then runs: an id or its beginning, latest, latest~1, v2 for a model"
    " version, or a matrix variant (default: the latest other one, and the one that the"
    " pipeline stands at)",
)
MATRIX = option("--matrix", action="store_true", help="compare all variants of the matrix")
COMPARED = option(
    "--output",
    "-o",
    metavar="FILE",
    help="also write the comparison as FILE.html, or the learning curve as FILE.svg",
)
RUN = option(
    "--run",
    metavar="RUN",
    help="which run, as `compare` takes it (default: the one that the pipeline stands at)",
)
OPEN = option("--open", action="store_true", help="open the report page in the browser")
REVIEW = (
    option(
        "--labels",
        metavar="FILE",
        help="where decisions are kept (default: the pipeline's sources.labels, or"
        " <name>.labels.jsonl beside it)",
    ),
    option(
        "--port", type=int, default=0, metavar="N", help="where to listen (default: a free one)"
    ),
    option("--no-browser", action="store_true", help="only print the address"),
    option(
        "--variant",
        metavar="NAME",
        help="matrix: whose images, by its name or a part of it (default: the one judged last)",
    ),
    option("--who", metavar="NAME", help="who reviews (default: the user's name)"),
    option("--all", action="store_true", help="show every image, not only doubtful and wrong ones"),
    option(
        "--export",
        choices=("csv", "manifest"),
        help="print what was decided, as CSV or as a Ground Truth manifest, and end",
    ),
    option("-o", "--output", metavar="FILE", help="write the export there"),
)
DEBUG = option("--debug", action="store_true", help="show tracebacks")
