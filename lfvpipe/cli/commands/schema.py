"""`lfvpipe schema`: print a JSON Schema."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse


def run(options: argparse.Namespace) -> int:
    """Print the schema of pipeline files, ledgers or run files; return 0."""
    from lfvpipe.config.schema import schema_file

    print(schema_file(options.schema).read_text(encoding="utf-8").rstrip())
    return 0
