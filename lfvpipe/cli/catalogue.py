"""The commands, and the options that each takes."""

from __future__ import annotations

from dataclasses import dataclass

from lfvpipe.cli.options import (
    ACCEPT,
    COMPARED,
    CSV,
    FILE,
    FORCE,
    FROM,
    GRAPH_FORMAT,
    HEAT_MAPS,
    JOBS,
    JSON,
    KEEP_GOING,
    LIMIT,
    LOCK_TIMEOUT,
    LOG_FORMAT,
    MATRIX,
    MODEL_FILE,
    ONLY,
    OPEN,
    OUTPUT,
    OVERWRITE,
    PAGE,
    PATHS,
    REFRESH,
    REVIEW,
    RUN,
    RUNS,
    SCHEMA,
    SERVE,
    SET,
    SHELL,
    STATE,
    STATE_DIR,
    TARGETS,
    UNTIL,
    WHY,
    YES,
    Option,
)


@dataclass(frozen=True)
class Command:
    """One command: the module `lfvpipe.cli.commands.<name>` does its work."""

    name: str
    summary: str
    options: tuple[Option, ...]
    example: str = ""


_SELECTION = (FROM, UNTIL, ONLY, FORCE, ACCEPT)
_STATE = (STATE_DIR, LOCK_TIMEOUT)

COMMANDS = (
    Command(
        "run",
        "carry the pipeline out, doing only what changed",
        (FILE, *_SELECTION, SET, KEEP_GOING, REFRESH, WHY, *_STATE, JOBS, JSON, LOG_FORMAT),
        "lfvpipe run pipelines/quickstart.yaml",
    ),
    Command(
        "plan",
        "show what a run would do, and why",
        (FILE, *_SELECTION, SET, REFRESH, WHY, STATE_DIR, JSON),
        "lfvpipe plan pipeline.yaml --set sample.percent=100",
    ),
    Command(
        "status",
        "show where each step stands",
        (FILE, SET, REFRESH, STATE_DIR, JSON),
        "lfvpipe status pipeline.yaml",
    ),
    Command(
        "validate",
        "check the pipeline file and say what it would use",
        (FILE, SET, STATE_DIR, JSON),
        "lfvpipe validate pipeline.yaml",
    ),
    Command(
        "graph",
        "draw the steps, what needs what, and their states",
        (FILE, SET, GRAPH_FORMAT, STATE_DIR, JSON),
        "lfvpipe graph pipeline.yaml --format mermaid",
    ),
    Command(
        "review",
        "look at doubtful and wrong images, and say what they are",
        (FILE, *REVIEW, SET, STATE_DIR),
        "lfvpipe review pipeline.yaml",
    ),
    Command(
        "detect",
        "get verdicts for images from a trained model",
        (TARGETS, MODEL_FILE, HEAT_MAPS, SET, *_STATE, JSON, CSV),
        "lfvpipe detect pipeline.yaml photos/ 'more/*.jpg'",
    ),
    Command(
        "history",
        "list the runs, their figures, and what changed between them",
        (FILE, SET, LIMIT, STATE_DIR, JSON),
        "lfvpipe history pipeline.yaml",
    ),
    Command(
        "compare",
        "put runs side by side: figures, what explains them, changed verdicts",
        (RUNS, SET, MATRIX, COMPARED, STATE_DIR, JSON),
        "lfvpipe compare pipeline.yaml v1 latest",
    ),
    Command(
        "report",
        "show a run's summary again, and where its page is",
        (FILE, SET, RUN, OPEN, STATE_DIR, JSON),
        "lfvpipe report pipeline.yaml --open",
    ),
    Command(
        "stop",
        "stop every model that is known to be hosted",
        (FILE, SET, *_STATE, JSON),
        "lfvpipe stop pipeline.yaml",
    ),
    Command(
        "destroy",
        "remove what the pipeline created, and nothing it adopted",
        (FILE, SET, *_STATE, YES, STATE, JSON),
        "lfvpipe destroy pipeline.yaml",
    ),
    Command(
        "init",
        "look at images and write a commented pipeline file for them",
        (PATHS, OUTPUT, OVERWRITE, JSON),
        "lfvpipe init product.zip product_def.zip",
    ),
    Command(
        "serve",
        "serve the Lookout for Vision API over HTTP",
        (*SERVE, LOG_FORMAT),
        "lfvpipe serve --storage http://127.0.0.1:8333",
    ),
    Command(
        "docs", "list the documentation's pages, or print one", (PAGE,), "lfvpipe docs tutorial"
    ),
    Command("schema", "print a JSON Schema", (SCHEMA,), "lfvpipe schema pipeline"),
    Command(
        "completion",
        "print a completion script for a shell",
        (SHELL,),
        'eval "$(lfvpipe completion bash)"',
    ),
)
