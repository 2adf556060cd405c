"""`lfvpipe schema`: print a JSON Schema."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Annotated

from lfvpipe.cli.options import Option, Options
from lfvpipe.config.schema import Name, schema_file
from lfvpipe.wrapping import plain_stream


@dataclass(frozen=True, kw_only=True)
class SchemaOptions(Options):
    """What `lfvpipe schema` reads."""

    schema: Annotated[Name, Option(about="which schema (default: pipeline)")] = "pipeline"


def run(options: SchemaOptions) -> int:
    """Print the schema of pipeline files, ledgers or run files; return 0."""
    text = schema_file(options.schema).read_text(encoding="utf-8").rstrip()
    print(text, file=plain_stream(sys.stdout))
    return 0
