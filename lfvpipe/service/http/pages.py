"""What every page that we serve tells a browser: run nothing but ours, and let nobody frame it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.types import Message, Send

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:;"
    " connect-src 'self'; base-uri 'none'; form-action {forms}; frame-ancestors 'none'"
)


def page_headers(*, forms: bool) -> Mapping[bytes, bytes]:
    """Return the headers of each answer.

    Args:
        forms: Pages send forms, to where they come from; then that place is told which page it
            was, and no other place is.
    """
    return {
        b"content-security-policy": _POLICY.format(forms="'self'" if forms else "'none'").encode(),
        b"cross-origin-opener-policy": b"same-origin",
        b"cross-origin-resource-policy": b"same-origin",
        b"referrer-policy": b"same-origin" if forms else b"no-referrer",
        b"x-content-type-options": b"nosniff",
        b"x-frame-options": b"DENY",
    }


def with_headers(send: Send, added: Mapping[bytes, bytes]) -> Send:
    """Return what sends answers with further headers; what says nothing of caches is not kept."""

    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = [*message["headers"], *added.items()]
            if not any(name.lower() == b"cache-control" for name, _ in headers):
                headers.append((b"cache-control", b"no-store"))
            message = {**message, "headers": headers}
        await send(message)

    return send_with_headers
