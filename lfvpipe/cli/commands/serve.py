"""`lfvpipe serve`: the Lookout for Vision service over HTTP."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from lfvpipe.cli.session import STATE_FOLDER, UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from lfvpipe.service.http.auth import Authenticator
    from lfvpipe.service.http.server import Tls


def run(options: argparse.Namespace) -> int:
    """Serve until SIGINT or SIGTERM; return 0."""
    _check(options)
    from lfvpipe.service.embedded import Service
    from lfvpipe.service.http.access_log import configure
    from lfvpipe.service.http.app import Application
    from lfvpipe.service.http.server import Server, listen
    from lfvpipe.storage import connect

    root = Path(options.state_dir or STATE_FOLDER).absolute()
    configure(options.log_format)
    authenticator, credentials = _authenticator(options, root)
    buckets = connect(
        options.storage,
        region=options.region,
        root=Path(options.buckets or root / "buckets").absolute(),
    )
    with ExitStack() as closing:
        listener = closing.enter_context(listen(options.host, options.port))
        service = Service(root / "service", buckets, region=options.region)
        closing.callback(service.close)
        application = Application(
            service.handle,
            authenticator,
            service.model_counts,
            options.workers,
            service.quotas.max_image_bytes,
        )
        closing.callback(application.close)
        tell = _teller(options, listener.getsockname()[1], credentials)
        server = Server(application.asgi(), listener, tls=_tls(options), on_ready=tell)
        server.serve_until_stopped()
    return 0


def _check(options: argparse.Namespace) -> None:
    """Refuse what would be unsafe.

    Raises:
        UsageError: The options contradict each other.
    """
    from lfvpipe.service.http.auth import is_loopback

    if options.tls_key and not options.tls_cert:
        raise UsageError("--tls-key needs --tls-cert")
    if options.no_auth and options.credentials:
        raise UsageError("--no-auth and --credentials contradict each other")
    if is_loopback(options.host):
        return
    if options.no_auth:
        hint = "Others can reach this address: leave --no-auth out, or serve at 127.0.0.1."
        raise UsageError(f"--no-auth is for this machine only, not for {options.host}", hint=hint)
    if not options.tls_cert:
        _warn(
            f"{options.host} is served without TLS: nobody can sign requests without the key, but"
            " others on the way can read images and results; give --tls-cert and --tls-key, or"
            " serve behind a proxy that has them"
        )


def _authenticator(options: argparse.Namespace, root: Path) -> tuple[Authenticator, Path | None]:
    """Return who decides about requests, and the file with the keys, if there are keys."""
    from lfvpipe.service.http.auth import NoAuth, SigV4
    from lfvpipe.service.http.credentials import ensure_keys, is_exposed, read_keys

    if options.no_auth:
        return NoAuth(), None
    file = Path(options.credentials or root / "credentials").expanduser().absolute()
    if not options.credentials:
        ensure_keys(file)
    keys = read_keys(file)
    if is_exposed(file):
        _warn(f"other users of this machine can read {file}; `chmod 600` it")
    return SigV4(keys), file


def _tls(options: argparse.Namespace) -> Tls | None:
    from lfvpipe.service.http.server import Tls

    if not options.tls_cert:
        return None
    return Tls(Path(options.tls_cert), Path(options.tls_key) if options.tls_key else None)


def _teller(options: argparse.Namespace, port: int, credentials: Path | None) -> Callable[[], None]:
    """Return what says that, where and how the service is to be reached; no secret."""
    host = f"[{options.host}]" if ":" in options.host else options.host
    url = f"{'https' if options.tls_cert else 'http'}://{host}:{port}"

    def tell_machine() -> None:
        import structlog

        file = str(credentials) if credentials else None
        log = structlog.get_logger("lfvpipe.service")
        log.info("serving", url=url, credentials=file, pid=os.getpid(), storage=options.storage)

    def tell_people() -> None:
        lines = [f"Lookout for Vision at {url}, storage: {options.storage} (Ctrl-C ends it)"]
        lines.append(f"  export AWS_ENDPOINT_URL_LOOKOUTVISION={url}")
        if credentials is not None:
            lines.append(f"  export AWS_SHARED_CREDENTIALS_FILE={credentials}")
        print("\n".join(lines), flush=True)

    return tell_machine if options.log_format == "json" else tell_people


def _warn(message: str) -> None:
    print(f"warning: {message}", file=sys.stderr)
