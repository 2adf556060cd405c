"""The reference of a pipeline file's keys as Markdown, out of the schema."""

import json
from collections.abc import Iterator

from lfvpipe.config import schema
from lfvpipe.config.schema import Schema

_KINDS = {
    "boolean": "true or false",
    "integer": "whole number",
    "number": "number",
    "string": "text",
    "array": "list",
    "object": "mapping",
}
_HEAD = "| key | type | default | meaning |\n|---|---|---|---|"


def reference() -> str:
    """Return the reference: a table of the single keys, then one for each section."""
    sections = schema.properties(schema.load_schema("pipeline"))
    single = {key: part for key, part in sections.items() if "properties" not in part}
    top = "\n".join([_HEAD, *(_row(key, part) for key, part in single.items())])
    tables = [
        f"#### `{key}`\n\n{part['description']}\n\n" + "\n".join([_HEAD, *_rows(part, "")])
        for key, part in sections.items()
        if key not in single
    ]
    return "\n\n".join([schema.load_schema("pipeline")["description"], top, *tables]) + "\n"


def _rows(section: Schema, prefix: str) -> Iterator[str]:
    written: dict[tuple[str, ...], str] = {}
    for key, part in schema.properties(section).items():
        below = tuple(schema.properties(part))
        same = written.setdefault(below, key) if below else key
        note = "" if same == key else f" The same keys as `{prefix}{same}`."
        yield _row(prefix + key, part, note, required=key in section.get("required", ()))
        if same == key:
            yield from _rows(part, f"{prefix}{key}.")


def _row(key: str, part: Schema, note: str = "", *, required: bool = False) -> str:
    if "enum" in part:
        kind = " or ".join(f"`{value}`" for value in part["enum"] if value is not None)
    else:
        kind = " or ".join(_KINDS[kind] for kind in schema.types(part) if kind != "null")
    value = part["default"]
    default = "" if value is None or value == {} else f"`{json.dumps(value)}`"
    cells = (f"`{key}`", kind, "required" if required else default, part["description"] + note)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
