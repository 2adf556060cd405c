"""What a request says before its body."""

from dataclasses import dataclass

from starlette.requests import Request


@dataclass(frozen=True)
class Head:
    """The head of a request, as it came over the wire.

    Attributes:
        method: The HTTP method, upper case.
        path: The raw path; percent-encoding untouched.
        query: The raw query string.
        headers: Lower-case names with their values, in the order they came.
    """

    method: str
    path: str
    query: str
    headers: tuple[tuple[str, str], ...]

    @property
    def target(self) -> str:
        """The path with its query."""
        return f"{self.path}?{self.query}" if self.query else self.path

    def header(self, name: str) -> str | None:
        """Return the last value of the header `name` (lower case), None if it is not there."""
        return next((value for key, value in reversed(self.headers) if key == name), None)


def head_of(request: Request) -> Head:
    """Return the head of `request`."""
    scope = request.scope
    path = (scope.get("raw_path") or scope["path"].encode()).partition(b"?")[0]
    headers = tuple(
        (name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]
    )
    query = scope["query_string"].decode("latin-1")
    return Head(request.method.upper(), path.decode("latin-1"), query, headers)
