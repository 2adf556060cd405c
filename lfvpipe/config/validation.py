"""What the JSON Schema finds, in plain words and at its place."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from lfvpipe.config import schema, suggestions
from lfvpipe.config.problems import Problem, problem
from lfvpipe.config.tree import Node, Where, find, nearest, plain

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import ValidationError

Explanation: TypeAlias = tuple[str, str]

_KINDS = {
    "null": "empty",
    "boolean": "true or false",
    "integer": "a whole number",
    "number": "a number",
    "string": "text",
    "array": "a list",
    "object": "a mapping",
}
_YES = ("yes", "on", "y")
_NO = ("no", "off", "n")


def validate(tree: Node) -> list[tuple[Where, Problem]]:
    """Return everything that the schema finds wrong with `tree`, with the way to each."""
    errors = _validator().iter_errors(plain(tree))
    return [found for error in errors for found in _problems_of(tree, error)]


@cache
def _validator() -> Draft202012Validator:
    from jsonschema import Draft202012Validator

    return Draft202012Validator(schema.load_schema("pipeline"))


def _problems_of(tree: Node, error: ValidationError) -> Iterable[tuple[Where, Problem]]:
    where = tuple(error.absolute_path)
    node = nearest(tree, where)
    if error.validator == "additionalProperties":
        assert isinstance(error.instance, Mapping)
        assert isinstance(error.schema, Mapping)
        known = error.schema.get("properties", {})
        for key in (key for key in error.instance if key not in known):
            place = found.key if (found := find(node, (key,))) else node.place
            yield (*where, key), problem(place, *suggestions.unknown((*where, key)))
    elif error.validator == "required":
        assert isinstance(error.instance, Mapping)
        for key in cast("list[str]", error.validator_value):
            # jsonschema raises one error for each key, and says which only in its text.
            if key not in error.instance and error.message.startswith(repr(key)):
                hint = f"Add `{key}:` to it."
                yield where, problem(node.key, f"{_name(where)} lacks the key `{key}`", hint)
    else:
        message, hint = _KEYWORDS.get(str(error.validator), _other)(error)
        yield where, problem(node.place, f"{_name(where)} {message}", hint)


def _name(where: Where) -> str:
    text = ""
    for part in where:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.removeprefix(".") or "the file"


def _quote(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _example(error: ValidationError) -> str:
    examples = (schema.at(tuple(error.absolute_path)) or {}).get("examples", ())
    return f"For example: {_quote(examples[0])}." if examples else ""


def _forms(error: ValidationError) -> str:
    """Return the forms that a value may have, as one writes them; "" where nothing shows them."""
    examples = (schema.at(tuple(error.absolute_path)) or {}).get("examples", ())
    return f"Write such as {' or '.join(map(_written, examples))}." if examples else ""


def _written(value: object) -> str:
    """Return a value as one would write it within a line of YAML."""
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{key}: {_written(each)}' for key, each in value.items())}}}"
    if isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_./-]*", value):
        return value
    return json.dumps(value, ensure_ascii=False)


def _type(error: ValidationError) -> Explanation:
    wanted = cast("str | list[str]", error.validator_value)
    kinds = [wanted] if isinstance(wanted, str) else [kind for kind in wanted if kind != "null"]
    names = " or ".join(_KINDS[kind] for kind in kinds)
    return f"is {_kind_of(error.instance)}; {names} is wanted", _type_hint(error, kinds)


def _kind_of(value: object) -> str:
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, str):
        return f"the text {_quote(value)}"
    return "empty" if value is None else _quote(value)


def _type_hint(error: ValidationError, kinds: list[str]) -> str:
    value = error.instance
    if isinstance(value, str):
        assert isinstance(error.schema, Mapping)
        return _text_hint(value, kinds, error.schema) or _example(error)
    if "string" in kinds and isinstance(value, bool | int | float):
        assert isinstance(error.schema, Mapping)
        # A text that quotes would make of it may be none of those that are taken.
        is_taken = re.search(error.schema.get("pattern", ""), _quote(value))
        return "Put it in quotes." if is_taken else _forms(error)
    if kinds == ["array"] and cast("Mapping[str, int]", error.schema).get("minItems", 1) == 1:
        return f"Write a list: [{_quote(value)}]."
    return _example(error)


def _text_hint(text: str, kinds: list[str], schema: Mapping[str, Any]) -> str:
    if "boolean" in kinds and text.lower() in (*_YES, *_NO):
        return f"Write {'true' if text.lower() in _YES else 'false'}."
    if {"integer", "number"} & set(kinds):
        number = _number_of(text, schema)
        if number is not None:
            return f"Write {number:f}: a number without quotes, sign or leading zeros."
    return ""


def _number_of(text: str, schema: Mapping[str, Any]) -> Decimal | None:
    """Return the number that a text means: 5 % of a share, which 1 is the most of, is 0.05."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*(?:(%)|/\s*(\d{1,9}))?\s*", text)
    if found is None:
        return None
    number, percent, divisor = found.groups()
    is_share = schema.get("maximum", schema.get("exclusiveMaximum", 100)) <= 1
    parts = Decimal(divisor or (100 if percent and is_share else 1))
    return (Decimal(number) / parts).normalize() if parts else None


def _enum(error: ValidationError) -> Explanation:
    values = cast("list[str | int | None]", error.validator_value)
    allowed = [str(value) for value in values if value is not None]
    near = suggestions.close(str(error.instance), allowed)
    hint = f"Did you mean {suggestions.alternatives(near)}?" if near else "Choose one of them."
    names = suggestions.alternatives(allowed)
    return f"is {_kind_of(error.instance)}; {names} is wanted", hint


def _pattern(error: ValidationError) -> Explanation:
    assert isinstance(error.schema, Mapping)
    return (
        f"is {_quote(error.instance)}; wanted: {error.schema['patternErrorMessage']}",
        _example(error),
    )


def _bound(words: str) -> Callable[[ValidationError], Explanation]:
    def explain(error: ValidationError) -> Explanation:
        limit = cast("float", error.validator_value)
        shown = f"{limit:,}" if abs(limit) >= 1 or not limit else f"{limit:.9f}".rstrip("0")
        return f"is {_quote(error.instance)}; it must be {words} {shown}", _example(error)

    return explain


def _size(words: str) -> Callable[[ValidationError], Explanation]:
    def explain(error: ValidationError) -> Explanation:
        return words.format(error.validator_value), _forms(error)

    return explain


def _too_many_keys(error: ValidationError) -> Explanation:
    assert isinstance(error.instance, Mapping)
    keys = " and ".join(f"`{key}`" for key in error.instance)
    most = "one of them is" if error.validator_value == 1 else f"{error.validator_value} are"
    return f"has {keys}; {most} wanted", _forms(error)


def _other(error: ValidationError) -> Explanation:
    return f"is not allowed here: {_kind_of(error.instance)}", _forms(error)


_KEYWORDS: dict[str, Callable[[ValidationError], Explanation]] = {
    "type": _type,
    "enum": _enum,
    "pattern": _pattern,
    "minimum": _bound("at least"),
    "maximum": _bound("at most"),
    "exclusiveMinimum": _bound("more than"),
    "exclusiveMaximum": _bound("less than"),
    "minLength": _size("is an empty text"),
    "maxLength": _size("is longer than {} characters"),
    "minItems": _size("is an empty list"),
    "maxItems": _size("has more than {} entries"),
    "minProperties": _size("is an empty mapping"),
    "maxProperties": _too_many_keys,
}
