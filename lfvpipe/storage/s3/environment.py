"""What of the environment both clients of S3 heed, and what neither does.

obstore and botocore read the same variables and take them differently: obstore lets
AWS_ENDPOINT_URL_S3 override an endpoint that it is given, each has its own idea of NO_PROXY, and
one alone knows REQUESTS_CA_BUNDLE. So botocore decides, for both: obstore is told what came of it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from obstore.exceptions import UnknownConfigurationKeyError
from obstore.store import S3Store

from lfvpipe.storage.errors import CertificatesUnreadable

_NOWHERE = "http://127.0.0.1:9"  # a proxy that no request is sent to


def open_store(bucket: str, address: str, region: str, config: Any, **settings: Any) -> S3Store:
    """Return an obstore store at the address that boto3 uses, whatever the environment says.

    Args:
        bucket: Its name.
        address: Of the endpoint.
        region: To sign for.
        config: More of what obstore calls its configuration.
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
        **config,
    }
    # Newer releases of obstore read a second variable, which comes before the endpoint.
    known: Any = {**said, "aws_endpoint_url_s3": address}
    try:
        return S3Store(bucket, config=known, **settings)
    except UnknownConfigurationKeyError:
        return S3Store(bucket, config=said, **settings)


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
