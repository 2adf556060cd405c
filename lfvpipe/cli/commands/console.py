"""`lfvpipe console`: projects, data sets and models of this folder in a browser."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from lfvpipe.cli.commands import serve
from lfvpipe.cli.options import Option, Options
from lfvpipe.cli.way_in import way_in
from lfvpipe.service import http

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class ConsoleOptions(Options):
    """What `lfvpipe console` reads."""

    state_dir: Annotated[
        str | None,
        Option(
            "--state-dir",
            metavar="DIR",
            about="where state is (default: .lfvpipe, as for pipelines of this folder)",
            completes="folder",
        ),
    ] = None
    storage: Annotated[
        str,
        Option(
            "--storage",
            metavar="local|aws|URL",
            about="where images are: local folders, Amazon S3, or any S3 endpoint (default: local)",
        ),
    ] = "local"
    region: Annotated[
        str, Option("--region", about="whose resources are shown first (default: us-east-1)")
    ] = "us-east-1"
    port: Annotated[
        int, Option("--port", metavar="N", about="where to listen (default: a free one)")
    ] = 0
    webhook: serve.WebhookAddress = None
    no_browser: Annotated[bool, Option("--no-browser", about="only print the address")] = False

    @property
    def state_folder(self) -> Path | None:
        """The folder that `--state-dir` names."""
        return self.as_served.state_folder

    @property
    def as_served(self) -> serve.ServeOptions:
        """What `lfvpipe serve` would read: the same state, with the runner's limits."""
        return serve.ServeOptions(
            state_dir=self.state_dir,
            storage=self.storage,
            region=self.region,
            port=self.port,
            limits="open",
            webhook=self.webhook,
        )


def run(options: ConsoleOptions) -> int:
    """Serve the console, and open it in a browser, until SIGINT or SIGTERM; return 0."""
    served = options.as_served
    http.access_log.configure("human")
    with way_in(served.state_root, "console") as open_page:

        def on_ready(serving: serve.Serving) -> None:
            assert serving.console is not None  # there are keys
            print(f"the console is at {serving.url}{serving.console.entrance()}", flush=True)
            print("  (that address is good once; Ctrl-C ends the console)", flush=True)
            if not options.no_browser:
                open_page(f"{serving.url}{serving.console.entrance()}")

        serve.serve_until_stopped(served, on_ready)
    print("the console has ended", file=sys.stderr)
    return 0
