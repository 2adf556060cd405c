"""What the API allows in a value: a form's fields have it before they are sent, people hear of it.

The API's model is the one source: of the attributes of fields, of the words beside them, and of
what is refused before the API is asked, whose own words for that are for programs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from lfvpipe.console.wording import say, texts
from lfvpipe.service.protocol.model import service_model
from lfvpipe.service.protocol.validator import Problem, find_problems

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from botocore.model import Shape

    from lfvpipe.lookout.client import LookoutClient

_SIGNS: Final = {
    r"[a-zA-Z0-9][a-zA-Z0-9_\-]*": "name",
    r"[0-9A-Za-z\.\-_]*": "dotted",
    r"[a-zA-Z0-9-_. ()':,;?]+": "prose",
    r"[a-zA-Z0-9-_.]+": "dotted",
    r"[a-zA-Z0-9-]+": "plain",
    r"^([0-9]{1,6})\.([0-9]{1,6})\.([0-9]{1,6})$": "version",
    r"([1-9][0-9]*|latest)": "number",
    r"([1-9][0-9]*)": "number",
    r"^([a-zA-Z0-9!_.*'()-][/a-zA-Z0-9!_.*'()-]*)?$": "key",
    r"^([\p{L}\p{Z}\p{N}_.:/=+\-@]*)$": "tag",
}
"""What may be in a value, by the pattern that the API holds it against."""
_CLASS: Final = re.compile(r"\[((?:\\.|[^\]\\])*)\]")
_SIGN: Final = re.compile(r"\\p\{\w\}|\\.|\w-\w|.", re.DOTALL)


class NotTaken(Exception):
    """The API would not take what it was to be asked.

    Args:
        problems: Each constraint that is not met.
    """

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(map(str, problems)))
        self.problems = problems


@dataclass(frozen=True)
class Form:
    """A form that becomes a call of the API.

    Attributes:
        operation: Whose parameters its fields are.
        places: Where each field's value goes, as ``S3Location.Bucket``; ``[]`` for each of a list.
    """

    operation: str
    places: Mapping[str, str]

    def shape(self, field: str) -> Shape:
        """Return the API's model of a field's value."""
        found: Any = service_model().operation_model(self.operation).input_shape
        for part in self.places[field].split("."):
            found = found.member if part == "[]" else found.members[part]
        shape: Shape = found
        return shape

    def attributes(self, field: str) -> dict[str, Any]:
        """Return the attributes by which a browser holds a field's value to the API's model."""
        shape = self.shape(field)
        told = shape.metadata
        is_text = shape.type_name == "string"
        names = ("minlength", "maxlength") if is_text else ("min", "max")
        found = {name: told.get(bound) for name, bound in zip(names, ("min", "max"), strict=True)}
        if is_text and "pattern" in told:
            found |= {"pattern": as_browsers_read(told["pattern"]), "title": self.rule(field)}
        return {name: value for name, value in found.items() if value is not None}

    def rule(self, field: str) -> str:
        """Return in words which characters a field takes."""
        named = self.places[field].rpartition(".")[2]
        return _say_signs(_name(named), self.shape(field))

    def by_field(self, problems: Sequence[Problem]) -> dict[str, str]:
        """Return what is wrong, in words, by the fields that have it."""
        fields = {place.lower(): field for field, place in self.places.items()}
        found: dict[str, list[str]] = {}
        for each in problems:
            place = re.sub(r"\.\d+\.member", ".[]", each.path).lower()
            if place in fields:
                found.setdefault(fields[place], []).append(_say_one(each))
        return {field: " ".join(said) for field, said in found.items()}


def check_calls(client: LookoutClient) -> None:
    """Let a client's calls raise `NotTaken` where the API would not take their parameters."""

    def check(params: Mapping[str, Any], model: Any, **_: object) -> None:
        problems = find_problems(model.input_shape, params)
        if problems:
            raise NotTaken(problems)

    client.meta.events.register("provide-client-params.lookoutvision", check)


def in_words(problems: Sequence[Problem]) -> str:
    """Return what is allowed, where something else was given."""
    return " ".join(dict.fromkeys(map(_say_one, problems)))


def as_browsers_read(pattern: str) -> str:
    """Return a pattern of the API as a browser takes it, where more signs are syntax in a class."""

    def escape(found: re.Match[str]) -> str:
        signs = ("\\" + each if each in "()[]{}/-|" else each for each in _SIGN.findall(found[1]))
        return f"[{''.join(signs)}]"

    return _CLASS.sub(escape, pattern)


def _say_one(problem: Problem) -> str:
    parts = re.split(r"[.\[\]]+", problem.path)
    named = [each for each in parts if each and each != "member" and not each.isdigit()]
    what, told = _name(named[-1]), problem.shape.metadata
    measured = "" if problem.shape.type_name in ("string", "blob") else "_number"
    match problem.kind:
        case "pattern":
            return _say_signs(what, problem.shape)
        case "most":
            return say(f"constraints.most{measured}", what=what, count=int(told["max"]))
        case "least" | "null":
            return say(f"constraints.least{measured}", what=what, count=int(told.get("min", 1)))
        case "enum":
            return say("constraints.one_of", what=what, names=", ".join(told["enum"]))


def _say_signs(what: str, shape: Shape) -> str:
    return say(f"constraints.signs_{_SIGNS.get(shape.metadata['pattern'], 'other')}", what=what)


def _name(parameter: str) -> str:
    field = f"constraints.field_{parameter.lower()}"
    return say(field if field in texts() else "constraints.field")
