"""What of the environment both clients of S3 heed, and what neither does.

obstore and botocore read the same variables and take them differently: obstore lets
AWS_ENDPOINT_URL_S3 override an endpoint that it is given, each has its own idea of NO_PROXY, and
one alone knows REQUESTS_CA_BUNDLE. So botocore decides, for both: obstore is told what came of it.
"""

from __future__ import annotations

import base64
import hashlib
import os
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from obstore.exceptions import UnknownConfigurationKeyError
from obstore.store import S3Store

from lfvpipe.storage.errors import CertificatesUnreadable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lfvpipe.storage.buckets import Terms

_LOCK = threading.Lock()
_NOWHERE = "http://127.0.0.1:9"  # a proxy that no request is sent to


def open_store(bucket: str, address: str, region: str, terms: Terms, **settings: Any) -> S3Store:
    """Return an obstore store at the address that boto3 uses, whatever the environment says.

    Args:
        bucket: Its name.
        address: Of the endpoint.
        region: To sign for.
        terms: What the store wants to be told with requests.
        settings: What else `S3Store` takes.
    """
    # Path style works for every endpoint, and for names with dots over TLS.
    said: Any = {
        "endpoint": address,
        "region": region,
        "virtual_hosted_style_request": False,
        "skip_signature": False,
        "s3_express": False,
        "unsigned_payload": False,
        "request_payer": terms.requester_pays,
    }
    if terms.encryption:
        said["aws_server_side_encryption"] = terms.encryption
    if terms.key:
        said["aws_sse_kms_key_id"] = terms.key
    # Newer releases of obstore read a second variable, which comes before the endpoint.
    known: Any = {**said, "aws_endpoint_url_s3": address}
    with _unsaid("AWS_SERVER_SIDE_ENCRYPTION", "AWS_SSE_KMS_KEY_ID"):
        try:
            return S3Store(bucket, config=known, **settings)
        except UnknownConfigurationKeyError:
            return S3Store(bucket, config=said, **settings)


@contextmanager
def _unsaid(*names: str) -> Iterator[None]:
    """Take variables out of the environment for a moment: no setting says that there is none."""
    with _LOCK:
        kept = {name: os.environ.pop(name) for name in names if name in os.environ}
        try:
            yield
        finally:
            os.environ.update(kept)


def tell_terms(client: Any, terms: Terms) -> None:
    """Let a boto3 client tell the store its terms, with each request that they are for."""

    def pay(request: Any, **_: object) -> None:
        request.headers["x-amz-request-payer"] = "requester"

    def encrypt(request: Any, **_: object) -> None:
        for name, value in terms.headers.items():
            request.headers[name] = value

    def digest(request: Any, **_: object) -> None:
        # boto3 sends another checksum, which older stores do not take for it.
        body = request.data if isinstance(request.data, bytes) else str(request.data).encode()
        hashed = hashlib.md5(body, usedforsecurity=False).digest()
        request.headers["Content-MD5"] = base64.b64encode(hashed).decode()

    for operation in ("PutPublicAccessBlock", "PutBucketEncryption"):
        client.meta.events.register(f"before-sign.s3.{operation}", digest)
    if terms.requester_pays:
        client.meta.events.register("before-sign.s3", pay)
    for operation in ("PutObject", "CreateMultipartUpload") if terms.encryption else ():
        client.meta.events.register(f"before-sign.s3.{operation}", encrypt)


def client_options(address: str, bundle: str | None) -> dict[str, Any]:
    """Return obstore's options for a client that goes the way that botocore goes.

    Raises:
        CertificatesUnreadable: The file of certificate authorities cannot be read.
    """
    options: dict[str, Any] = {
        "allow_http": address.startswith("http://"),
        "allow_invalid_certificates": False,
        "proxy_url": proxy(address) or _NOWHERE,
    }
    if options["proxy_url"] == _NOWHERE:
        options["proxy_excludes"] = urlsplit(address).hostname or ""
    if bundle and not options["allow_http"]:
        options["root_certificate"] = certificates(bundle)
    return options


def proxy(address: str) -> str | None:
    """Return the proxy for an address; None where there is none, or NO_PROXY names the host."""
    from botocore.httpsession import ProxyConfiguration
    from botocore.utils import get_environ_proxies

    found: str | None = ProxyConfiguration(get_environ_proxies(address)).proxy_url_for(address)
    return found


def bundle_file(settings: Any) -> str | None:
    """Return the file of certificate authorities that botocore takes, None for its own."""
    found = settings.get_config_variable("ca_bundle") or os.environ.get("REQUESTS_CA_BUNDLE")
    return str(found) if found else None


def certificates(bundle: str) -> bytes:
    """Return the certificates of a file.

    Raises:
        CertificatesUnreadable: It is not there, or no file.
    """
    try:
        return Path(bundle).read_bytes()
    except OSError as error:
        raise CertificatesUnreadable(bundle, error.strerror or str(error)) from error
