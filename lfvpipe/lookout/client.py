"""A boto3 `lookoutvision` client for any endpoint, or for the service inside this process."""

import os
from typing import Any, cast
from urllib.parse import urlsplit

import botocore.session
from botocore.config import Config

import lfvpipe
from lfvpipe import aws
from lfvpipe.errors import UserError
from lfvpipe.lookout.api import LookoutClient
from lfvpipe.lookout.model_data import SERVICE, data_folder
from lfvpipe.lookout.transport import Handler, serve_in_process

__all__ = ["EMBEDDED_URL", "Handler", "LookoutClient", "connect"]

EMBEDDED_URL = "http://lookoutvision.embedded.invalid"  # RFC 2606: never resolves, never dialled

_OURS: dict[str, Any] = {
    # The address is the file's, so that neither is meant, whatever the environment says.
    "use_fips_endpoint": False,
    "use_dualstack_endpoint": False,
    "user_agent_extra": f"lfvpipe/{lfvpipe.__version__}",
}


def connect(endpoint: str, *, region: str, handler: Handler | None = None) -> LookoutClient:
    """Return a boto3 client for `endpoint`.

    Args:
        endpoint: ``embedded``, or the ``http://`` or ``https://`` address of a service.
        region: The AWS region that requests are signed for.
        handler: Answers the requests when `endpoint` is ``embedded``.

    Raises:
        UserError: `endpoint` is neither, or the profile or the service model is missing.
    """
    if endpoint != "embedded":
        return _remote(endpoint, region)
    if handler is None:
        raise ValueError("the embedded endpoint needs a handler")
    # To describe the machine takes a fifth of each call, and nobody here reads it.
    named = _OURS | {"user_agent": "lfvpipe"}
    settings = Config(retries={"mode": "standard", "total_max_attempts": 4}, **named)
    client = _create(_isolated_session(), EMBEDDED_URL, region, settings)
    serve_in_process(client, handler)
    return cast("LookoutClient", client)


def _remote(endpoint: str, region: str) -> LookoutClient:
    from botocore.exceptions import BotoCoreError

    parts = urlsplit(endpoint)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise UserError(
            f"{endpoint!r} is no address of a Lookout for Vision service.",
            hint="Write `embedded`, or a URL such as http://localhost:8080.",
        )
    try:
        client = _create(botocore.session.Session(), endpoint, region, aws.config(**_OURS))
    except BotoCoreError as error:
        cause = str(error).rstrip(".")
        raise UserError(f"No client can be made for {endpoint}: {cause}.") from error
    aws.call_patiently(client)
    return cast("LookoutClient", client)


def _create(session: botocore.session.Session, url: str, region: str, settings: Config) -> Any:
    import boto3

    loader = session.get_component("data_loader")
    folder = str(data_folder())
    if folder not in loader.search_paths:
        loader.search_paths.append(folder)
    service: Any = SERVICE  # boto3's stubs name only the services that botocore still ships
    made = boto3.Session(botocore_session=session, region_name=region)
    return made.client(service, endpoint_url=url, config=settings)


def _isolated_session() -> botocore.session.Session:
    """Return a session that neither needs nor reads the AWS configuration: nothing leaves here."""
    session = botocore.session.Session(
        session_vars={
            "profile": (None, [], None, None),
            "config_file": (None, [], os.devnull, None),
            "credentials_file": (None, [], os.devnull, None),
        }
    )
    session.set_credentials("embedded", "embedded")  # no secret: signs what never leaves
    return session
