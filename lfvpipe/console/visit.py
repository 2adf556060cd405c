"""A signed-in person's request, and what answers are made of."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, Self
from urllib.parse import parse_qsl, quote

from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from lfvpipe.console.addresses import split_address
from lfvpipe.console.rendering import is_script, render
from lfvpipe.console.sessions import Notice, Refused
from lfvpipe.console.wording import say
from lfvpipe.service.roles import Role
from lfvpipe.storage import InvalidAddress, parse_s3_uri

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from starlette.requests import Request

    from lfvpipe.console.datasets.desk import Desk
    from lfvpipe.console.forms import Form
    from lfvpipe.console.sessions import Session
    from lfvpipe.lookout.client import LookoutClient
    from lfvpipe.service import Service

ROOT = "/console"
KIB = 1024
MIB = 1024 * KIB
FORM_TOKEN = "csrf"  # noqa: S105  (a field's name)
FORM_TOKEN_HEADER = "x-lfvpipe-csrf"  # noqa: S105  (a header's name)
_MOST_FIELDS = 1000


def read_number(text: str) -> int | None:
    """Return the number that a text spells, without zeros before it; None where it spells none."""
    return int(text) if re.fullmatch("0|[1-9][0-9]{0,14}", text) else None


class Refusal(Exception):
    """What a person asked for cannot be done; its text says why, and what to do.

    Args:
        text: Whole sentences.
        status: The HTTP status.
        fields: What is wrong with single fields of the form, by their names.
    """

    def __init__(
        self, text: str, status: int = 400, fields: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(text)
        self.text = text
        self.status = status
        self.fields = fields or {}

    @classmethod
    def of_field(cls, field: str, text: str) -> Self:
        """Return what refuses a form for one of its fields."""
        return cls(text, fields={field: text})


def check_address(field: str, address: str) -> None:
    """Refuse a form whose field names no place in a bucket.

    Raises:
        Refusal: It is no ``s3://bucket/…``, such as a prefix without its bucket.
    """
    if not address:
        raise Refusal.of_field(field, say("constraints.empty_address"))
    try:
        parse_s3_uri(address)
    except InvalidAddress:
        raise Refusal.of_field(field, say("constraints.no_address", address=address)) from None


@dataclass(frozen=True)
class Visit:
    """One request of a person who is signed in.

    Attributes:
        request: As it came; its body is in `body`.
        session: The person's.
        form_token: What the page's forms have to bring along.
        region: Whose resources the path names.
        regions: All that there are.
        client: Asks the service in this process, in the person's name.
        service: The service of the region, for what the API has no operation for.
        datasets: Changes and shows the region's images.
        alarms_to: The host that alarms are sent to; "" where there is none.
        origin: The server's address, as the browser has it.
    """

    request: Request
    session: Session
    form_token: str
    region: str
    regions: Sequence[str]
    client: LookoutClient
    service: Service
    datasets: Desk
    alarms_to: str
    origin: str
    body: bytes = b""

    @property
    def path(self) -> Mapping[str, str]:
        """The values of the path's places, such as the project's name."""
        return self.request.path_params

    @property
    def query(self) -> Mapping[str, str]:
        """The query; the last of a name's values counts."""
        return self.request.query_params

    @cached_property
    def form(self) -> Mapping[str, str]:
        """The form's fields; the last of a name's values counts."""
        return dict(self.fields)

    @cached_property
    def fields(self) -> Sequence[tuple[str, str]]:
        """The form's fields in order, for those that come more than once."""
        try:
            text = self.body.decode()
            return parse_qsl(text, keep_blank_values=True, max_num_fields=_MOST_FIELDS)
        except ValueError:  # UnicodeDecodeError is one
            raise Refusal(say("frame.no_form")) from None

    @cached_property
    def json(self) -> Mapping[str, Any]:
        """The object that a script of ours sent."""
        try:
            found = json.loads(self.body)
            json.dumps(found, ensure_ascii=False).encode()  # or it has half a surrogate pair
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise Refusal(say("frame.no_object"))
        return found

    @property
    def wants_json(self) -> bool:
        """Whether it is a script that asks."""
        return is_script(self.request.headers.get("accept", ""))

    @property
    def may_administer(self) -> bool:
        """Whether to offer what only an admin may do; the service refuses it anyhow."""
        return self.session.actor.role is Role.ADMIN

    @property
    def may_label(self) -> bool:
        """Whether to offer what a reviewer may do."""
        return self.session.actor.role is not Role.VIEWER

    def address(self, *parts: str) -> str:
        """Return the address of a page of this region, from its path's parts."""
        return "/".join([ROOT, self.region, *(quote(part, safe="") for part in parts)])

    def show(self, template: str, *, status: int = 200, **facts: Any) -> Response:
        """Return a page."""
        notices = self.session.notices[:]
        del self.session.notices[: len(notices)]
        refused, self.session.refused = self.session.refused, Refused()
        text = render(template, visit=self, notices=notices, refused=refused, **facts)
        return HTMLResponse(text, status)

    def go(self, *parts: str, notice: str = "") -> Response:
        """Return what leads to another page of this region, which then says `notice`."""
        if notice:
            self.session.notices.append(Notice(notice))
        return RedirectResponse(self.address(*parts), 303)

    def refuse(self, refusal: Refusal) -> Response:
        """Return what says that it cannot be done: to a script, on a page, or where one was."""
        if self.wants_json:
            return JSONResponse({"error": refusal.text}, refusal.status)
        if self.request.method in ("GET", "HEAD"):
            return self.show("refused.html.j2", status=refusal.status, text=refusal.text)
        self.session.notices.append(Notice(refusal.text, "failed", tuple(refusal.fields)))
        if refusal.fields:
            self.session.refused = Refused(self.request.url.path, self.form, refusal.fields)
        return RedirectResponse(self._came_from(), 303)

    def _came_from(self) -> str:
        """Return the page of ours that the form was on."""
        parts = split_address(self.request.headers.get("referer", ""))
        if parts is None or parts.netloc != self.request.headers["host"]:
            return f"{ROOT}/"
        ours = parts.path.startswith(f"{ROOT}/")
        return parts._replace(scheme="", netloc="", fragment="").geturl() if ours else f"{ROOT}/"


Answer = Callable[[Visit], Response]


class Page(NamedTuple):
    """A page, or what a form or a script is sent to.

    Attributes:
        method: ``GET``, or ``POST`` for what changes something.
        path: Behind the region, such as ``/projects/{project}``.
        answer: Called in a thread, where the service is asked in the person's name.
        limit: The bytes that a body may have.
        form: What the API allows in the form's fields, where it becomes a call of the API.
    """

    method: str
    path: str
    answer: Answer
    limit: int = 64 * KIB
    form: Form | None = None
