"""The commands: what each is called, what it does, and an example.

What a command reads stands in its module, which is imported only when it is asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple, get_type_hints

if TYPE_CHECKING:
    from collections.abc import Callable

    from lfvpipe.cli.options import Options


class Command(NamedTuple):
    """One command: the function `run` of the module `lfvpipe.cli.commands.<name>` does its work."""

    name: str
    summary: str
    example: str

    @property
    def run(self) -> Callable[[Options], int]:
        """The function that does its work and returns the exit code."""
        run: Callable[[Options], int] = import_module(f"lfvpipe.cli.commands.{self.name}").run
        return run

    @property
    def options(self) -> type[Options]:
        """The class of what it reads, as the signature of `run` says."""
        options: type[Options] = get_type_hints(self.run)["options"]
        return options


COMMANDS = (
    Command(
        "run",
        "carry the pipeline out, doing only what changed",
        "lfvpipe run pipelines/quickstart.yaml",
    ),
    Command(
        "plan",
        "show what a run would do, and why",
        "lfvpipe plan pipeline.yaml --set sample.percent=100",
    ),
    Command("status", "show where each step stands", "lfvpipe status pipeline.yaml"),
    Command(
        "validate",
        "check the pipeline file and say what it would use",
        "lfvpipe validate pipeline.yaml",
    ),
    Command(
        "graph",
        "draw the steps, what needs what, and their states",
        "lfvpipe graph pipeline.yaml --format mermaid",
    ),
    Command(
        "review",
        "look at doubtful and wrong images, and say what they are",
        "lfvpipe review pipeline.yaml",
    ),
    Command(
        "detect",
        "get verdicts for images from a trained model",
        "lfvpipe detect pipeline.yaml photos/ 'more/*.jpg'",
    ),
    Command(
        "decide",
        "show what each threshold would do, and how to choose it",
        "lfvpipe decide pipeline.yaml",
    ),
    Command(
        "export",
        "put a trained model, and all that judges images by it, into a folder",
        "lfvpipe export pipeline.yaml -o line-7/",
    ),
    Command(
        "history",
        "list the runs, their figures, and what changed between them",
        "lfvpipe history pipeline.yaml",
    ),
    Command(
        "compare",
        "put runs side by side: figures, what explains them, changed verdicts",
        "lfvpipe compare pipeline.yaml v1 latest",
    ),
    Command(
        "report",
        "show a run's summary again, and where its page is",
        "lfvpipe report pipeline.yaml --open",
    ),
    Command(
        "doctor",
        "look over all of the state, and repair what can be repaired safely",
        "lfvpipe doctor pipeline.yaml --repair",
    ),
    Command(
        "stop",
        "cancel trainings that go on, and stop every model that is hosted",
        "lfvpipe stop pipeline.yaml",
    ),
    Command(
        "prune",
        "remove what no run needs any more, with how much room it takes",
        "lfvpipe prune pipeline.yaml --dry-run",
    ),
    Command(
        "destroy",
        "remove what the pipeline created, and nothing else",
        "lfvpipe destroy pipeline.yaml",
    ),
    Command(
        "init",
        "look at images and write a commented pipeline file for them",
        "lfvpipe init product.zip product_def.zip",
    ),
    Command(
        "serve",
        "serve the Lookout for Vision API over HTTP",
        "lfvpipe serve --storage http://127.0.0.1:8333",
    ),
    Command(
        "console",
        "open projects, data sets and models of this folder in a browser",
        "lfvpipe console",
    ),
    Command(
        "docs",
        "list the documentation's pages, or print one",
        "lfvpipe docs tutorial",
    ),
    Command("schema", "print a JSON Schema", "lfvpipe schema pipeline"),
    Command(
        "completion",
        "print a completion script for a shell",
        'eval "$(lfvpipe completion bash)"',
    ),
)
