"""Finds the operation for a method and a raw path."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from botocore.model import OperationModel, ServiceModel

from lfvpipe.service.protocol.faults import Fault


def split_target(target: str) -> tuple[str, str]:
    """Return the raw path and the query of a request's address; of nothing that is none, "".

    A path is taken as it is: `urlsplit` takes ``//host/path`` for one on another host, and
    refuses ``//[``.
    """
    if target.startswith("/"):
        path, _, query = target.partition("?")
        return path, query
    try:
        parts = urlsplit(target)
    except ValueError:
        return "", ""
    return parts.path, parts.query


@dataclass(frozen=True)
class Route:
    """An operation, and the path's segments: a literal, or a label in braces."""

    operation: OperationModel
    method: str
    segments: tuple[str, ...]

    def match(self, segments: tuple[str, ...]) -> Mapping[str, str] | None:
        """Return the labels' decoded values, or None where the literals differ."""
        if len(segments) != len(self.segments):
            return None
        labels = {}
        for wanted, found in zip(self.segments, segments, strict=True):
            if wanted.startswith("{"):
                labels[wanted.strip("{}")] = unquote(found)
            elif wanted != found:
                return None
        return labels


class Router:
    """Routes on the raw path: a percent-encoded slash inside a label does not split it."""

    def __init__(self, model: ServiceModel) -> None:
        self._routes = [_route(model.operation_model(name)) for name in model.operation_names]

    def find(self, method: str, raw_path: str) -> tuple[OperationModel, Mapping[str, str]]:
        """Return the operation and the path's labels.

        Raises:
            Fault: No operation has this method and path.
        """
        segments = tuple(raw_path.split("/"))  # the first is what precedes the first slash
        for route in self._routes:
            labels = route.match(segments) if route.method == method else None
            if labels is not None:
                return route.operation, labels
        raise Fault("UnknownOperationException", f"no operation at {method} {raw_path}", status=404)


def _route(operation: OperationModel) -> Route:
    path = str(operation.http["requestUri"]).partition("?")[0]
    return Route(operation, str(operation.http["method"]), tuple(path.split("/")))
