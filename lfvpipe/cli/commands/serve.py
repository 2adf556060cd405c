"""`lfvpipe serve`: the Lookout for Vision service over HTTP."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from lfvpipe import atomic, console, service, storage
from lfvpipe.cli.options import STATE_FOLDER, LogFormat, Option, Options, at_least
from lfvpipe.cli.usage import UsageError
from lfvpipe.service import http

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from starlette.types import ASGIApp

    from lfvpipe.console import Console, Webhook
    from lfvpipe.service.http.auth import Authenticator
    from lfvpipe.service.http.credentials import AccessKey
    from lfvpipe.service.http.server import Tls


WebhookAddress = Annotated[
    str | None,
    Option(
        "--webhook",
        metavar="URL|@FILE",
        about="tell this address by POST when what a version judges drifts from its test"
        " (`lfvpipe docs console`); @FILE has the address, where it is a secret (default: nobody"
        " is told)",
    ),
]


@dataclass(frozen=True, kw_only=True)
class ServeOptions(Options):
    """What `lfvpipe serve` reads."""

    host: Annotated[
        str, Option("--host", about="the address to listen at (default: 127.0.0.1)")
    ] = "127.0.0.1"
    port: Annotated[int, Option("--port", about="0 takes a free one (default: 8787)")] = 8787
    state_dir: Annotated[
        str | None,
        Option(
            "--state-dir",
            metavar="DIR",
            about="where state is kept (default: .lfvpipe, as for pipelines of this folder)",
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
    encryption: Annotated[
        Literal["AES256", "aws:kms"] | None,
        Option(
            "--encryption",
            about="on S3: how what the service writes is encrypted, where a policy wants that said"
            " (default: as the bucket says)",
        ),
    ] = None
    encryption_key: Annotated[
        str | None,
        Option("--encryption-key", metavar="KEY", about="the ID or ARN of the key, for aws:kms"),
    ] = None
    requester_pays: Annotated[
        bool, Option("--requester-pays", about="on S3: agree to pay for requests")
    ] = False
    buckets: Annotated[
        str | None,
        Option(
            "--buckets",
            metavar="DIR",
            about="the folder of the local buckets (default: buckets in the state folder)",
        ),
    ] = None
    region: Annotated[
        str,
        Option(
            "--region",
            about="whose resources a request without a signature means (default: us-east-1)",
        ),
    ] = "us-east-1"
    one_region: Annotated[
        bool,
        Option(
            "--one-region",
            about="serve the resources of --region, whatever region a request is signed for",
        ),
    ] = False
    detector: Annotated[
        str,
        Option(
            "--detector",
            metavar="NAME",
            about="what new models are trained with: the name that an installed package declares"
            " (default: default, our own)",
        ),
    ] = "default"
    limits: Annotated[
        Literal["documented", "open"],
        Option(
            "--limits",
            about="how many images a training takes: as documented, or as few and as many as there"
            " are (default: documented)",
        ),
    ] = "documented"
    idle_timeout: Annotated[
        int | None,
        Option(
            "--idle-timeout",
            metavar="MINUTES",
            read=at_least(1),
            about="stop a hosted model that nobody asked for so long (default: never)",
        ),
    ] = None
    workers: Annotated[
        int | None,
        Option(
            "--workers",
            metavar="N",
            read=at_least(1),
            about="judge at most so many images at once (default: as many as the inference units"
            " can)",
        ),
    ] = None
    keep_verdicts: Annotated[
        int | None,
        Option(
            "--keep-verdicts",
            metavar="N",
            read=at_least(1),
            about="keep the last N images of each project that clients ask about, at most 1 GiB,"
            " with their verdicts, for `lfvpipe review --of detect` (default: none)",
        ),
    ] = None
    credentials: Annotated[
        str | None,
        Option(
            "--credentials",
            metavar="FILE",
            about="access keys to accept, and their roles (`lfvpipe docs clients`), in the form of"
            " ~/.aws/credentials (default: credentials in the state folder, made on the first"
            " start)",
        ),
    ] = None
    no_auth: Annotated[
        bool, Option("--no-auth", about="accept unsigned requests from this machine")
    ] = False
    tls_cert: Annotated[
        str | None,
        Option(
            "--tls-cert", metavar="FILE", about="serve HTTPS with this PEM certificate and chain"
        ),
    ] = None
    tls_key: Annotated[
        str | None,
        Option("--tls-key", metavar="FILE", about="its key, if the certificate's file lacks it"),
    ] = None
    cors_origin: Annotated[
        tuple[str, ...],
        Option(
            "--cors-origin",
            metavar="ORIGIN",
            about="let pages of this origin, such as https://station.example, ask from a browser;"
            " `*` for any (default: none)",
        ),
    ] = ()
    console_origin: Annotated[
        tuple[str, ...],
        Option(
            "--console-origin",
            metavar="ORIGIN",
            about="where a proxy with TLS offers the console, such as https://vision.example"
            " (default: the console is offered on this machine, and by --tls-cert)",
        ),
    ] = ()
    webhook: WebhookAddress = None
    log_format: LogFormat = "human"

    @property
    def state_folder(self) -> Path | None:
        """The folder that `--state-dir` names."""
        return Path(self.state_dir) if self.state_dir else None

    @property
    def state_root(self) -> Path:
        """The folder of all state: `--state-dir`, or ``.lfvpipe`` here."""
        return Path(self.state_dir or STATE_FOLDER).absolute()


def run(options: ServeOptions) -> int:
    """Serve until SIGINT or SIGTERM; return 0."""
    _check(options)
    http.access_log.configure(options.log_format)
    serve_until_stopped(options, lambda serving: _tell(options, serving))
    return 0


@dataclass(frozen=True)
class Serving:
    """A server that answers.

    Attributes:
        url: Where.
        credentials: The file of the keys; None where everybody on this machine is let in.
        console: What people open; None where nobody can sign in.
    """

    url: str
    credentials: Path | None
    console: Console | None


def serve_until_stopped(options: ServeOptions, on_ready: Callable[[Serving], None]) -> None:
    """Serve the API and the console until SIGINT or SIGTERM.

    Args:
        options: Those of `lfvpipe serve`.
        on_ready: Called once requests are answered.
    """
    webhook = _webhook(options)
    root = options.state_root
    atomic.make_folder(root)
    folder = Path(options.buckets or root / "buckets").absolute()
    access = _access(options, root)
    terms = storage.Terms(options.encryption, options.encryption_key, options.requester_pays)
    abandoned = [atomic.abandoned_files(root / "service")]
    if options.storage == "local":
        buckets = storage.LocalBuckets(folder, options.region)
        abandoned.append(buckets.abandoned_files(of_others=not folder.is_relative_to(root)))
    for file in chain(*abandoned):
        file.unlink(missing_ok=True)
    with ExitStack() as closing:
        listener = closing.enter_context(http.server.listen(options.host, options.port))
        quotas = service.read_quotas(root / "service", options.limits)
        if options.idle_timeout is not None:
            quotas = replace(quotas, idle_seconds=60.0 * options.idle_timeout)
        lookout = service.RegionalService(
            root / "service",
            lambda region: storage.connect(
                options.storage, region=region, root=folder, terms=terms
            ),
            region=options.region,
            alone=options.one_region,
            detector=options.detector,
            quotas=quotas,
            keeper=service.VerdictKeeper(root, kept) if (kept := options.keep_verdicts) else None,
        )
        closing.callback(lookout.close)
        application = http.app.Application(
            lookout.handle,
            access.authenticator,
            lookout.model_counts,
            options.workers,
            lookout.quotas.max_image_bytes,
            origins=options.cors_origin,
        )
        closing.callback(application.close)
        app: ASGIApp = application.asgi()
        pages = None
        if access.keys:
            proxies = tuple(map(console.read_origin, options.console_origin))
            offered = console.Origins(bool(options.tls_cert), proxies)
            told = webhook.host if webhook else ""
            pages = console.Console(lookout, access.keys, options.region, offered, root, told)
            app = pages.beside(app)
        if webhook is not None:
            watch = console.Watch(lookout, webhook)
            closing.callback(watch.close)
            watch.start()
        serving = Serving(_url(options, listener.getsockname()[1]), access.credentials, pages)
        server = http.server.Server(
            app, listener, tls=_tls(options), on_ready=lambda: on_ready(serving)
        )
        server.serve_until_stopped()


def _check(options: ServeOptions) -> None:
    """Refuse what would be unsafe.

    Raises:
        UsageError: The options contradict each other.
    """
    if options.encryption and options.storage == "local":
        raise UsageError("--encryption is for S3 stores; local folders are not encrypted.")
    if options.encryption_key and options.encryption != "aws:kms":
        raise UsageError("--encryption-key needs --encryption aws:kms.")
    if options.tls_key and not options.tls_cert:
        raise UsageError("--tls-key needs --tls-cert.")
    if options.no_auth and options.credentials:
        raise UsageError("--no-auth and --credentials contradict each other.")
    if options.no_auth and "*" in options.cors_origin:
        hint = "Any page that a browser here has open could ask: name the origin, or leave it out."
        raise UsageError("--no-auth and --cors-origin '*' contradict each other.", hint=hint)
    _check_console(options)
    if http.auth.is_loopback(options.host):
        return
    if options.no_auth:
        hint = "Others can reach this address: leave --no-auth out, or serve at 127.0.0.1."
        raise UsageError(f"--no-auth is for this machine only, not for {options.host}.", hint=hint)
    if not options.tls_cert:
        _warn(
            f"{options.host} is served without TLS: nobody can sign requests without the key, but"
            " others on the way can read images and results; give --tls-cert and --tls-key, or"
            " serve behind a proxy that has them"
        )


def _check_console(options: ServeOptions) -> None:
    for origin in options.console_origin:
        try:
            console.read_origin(origin)
        except ValueError as error:
            hint = "Write the proxy's address without a path, such as https://vision.example."
            told = f"--console-origin {origin} {error}."
            raise UsageError(told, hint=hint) from error
    if options.no_auth and options.console_origin:
        hint = "The console wants people to sign in with an access key."
        raise UsageError("--no-auth and --console-origin contradict each other.", hint=hint)


def _webhook(options: ServeOptions) -> Webhook | None:
    """Return whom to tell of drift; an address that may be a secret is repeated nowhere.

    Raises:
        UsageError: There is no such file, or no address.
    """
    if options.webhook is None:
        return None
    given, name, file = options.webhook, "--webhook", None
    if given.startswith("@"):
        file = Path(given[1:]).expanduser()
        name = f"The file of --webhook, {file},"
        try:
            given = file.read_text("utf-8").strip()
        except (OSError, ValueError) as error:
            raise UsageError(f"{name} cannot be read: {error}.") from error
    try:
        found = console.Webhook(given)
    except ValueError as error:
        raise UsageError(
            f"{name} has {error}.",
            hint="Write it as https://example.org/alarms, or @FILE for a file that holds it.",
        ) from error
    if file is not None and http.credentials.is_exposed(file):
        _warn(f"other users of this machine can read {file}; `chmod 600` it")
    if not found.is_secure and not http.auth.is_loopback(found.host):
        _warn(
            f"alarms go to {found.host} without TLS: others on the way can read and change them;"
            " give an address with https"
        )
    return found


@dataclass(frozen=True)
class _Access:
    """Who is let in.

    Attributes:
        authenticator: Decides about requests to the API.
        keys: What people sign in with; none where there is no authentication.
        credentials: The file with the keys, if there are keys.
    """

    authenticator: Authenticator
    keys: Mapping[str, AccessKey]
    credentials: Path | None


def _access(options: ServeOptions, root: Path) -> _Access:
    if options.no_auth:
        return _Access(http.auth.NoAuth(options.cors_origin), {}, None)
    file = Path(options.credentials or root / "credentials").expanduser().absolute()
    if not options.credentials:
        http.credentials.ensure_keys(file)
    keys = http.credentials.read_keys(file)
    if http.credentials.is_exposed(file):
        _warn(f"other users of this machine can read {file}; `chmod 600` it")
    return _Access(http.auth.SigV4(keys), keys, file)


def _tls(options: ServeOptions) -> Tls | None:
    if not options.tls_cert:
        return None
    return http.server.Tls(
        Path(options.tls_cert), Path(options.tls_key) if options.tls_key else None
    )


def _url(options: ServeOptions, port: int) -> str:
    host = f"[{options.host}]" if ":" in options.host else options.host
    return f"{'https' if options.tls_cert else 'http'}://{host}:{port}"


def _tell(options: ServeOptions, serving: Serving) -> None:
    """Say that, where and how the service is to be reached; no secret goes into a log."""
    if options.log_format == "json":
        import structlog

        file = str(serving.credentials) if serving.credentials else None
        log = structlog.get_logger("lfvpipe.service")
        facts = {"credentials": file, "pid": os.getpid(), "storage": options.storage}
        log.info("serving", url=serving.url, **facts)
        return
    lines = [f"Lookout for Vision at {serving.url}, storage: {options.storage} (Ctrl-C ends it)"]
    lines.append(f"  export AWS_ENDPOINT_URL_LOOKOUTVISION={serving.url}")
    if serving.credentials is not None:
        lines.append(f"  export AWS_SHARED_CREDENTIALS_FILE={serving.credentials}")
    if serving.console is not None:
        local = http.auth.is_loopback(options.host)
        # Good once; what is no terminal may be a log.
        entrance = serving.console.entrance() if local and sys.stdout.isatty() else console.ROOT
        lines.append(f"  console: {serving.url}{entrance}")
        offered = map(console.read_origin, options.console_origin)
        lines += [f"  console: {origin}{console.ROOT}" for origin in offered]
    print("\n".join(lines), flush=True)


def _warn(message: str) -> None:
    print(f"warning: {message}", file=sys.stderr)
