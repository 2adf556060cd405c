"""`lfvpipe init`: look at images and write a commented pipeline file for them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from lfvpipe import atomic
from lfvpipe.cli import output, starter_file
from lfvpipe.cli.discovery import discover
from lfvpipe.cli.options import STATE_FOLDER, Json, Option, Options
from lfvpipe.cli.usage import UsageError
from lfvpipe.config.schema import schema_file

if TYPE_CHECKING:
    from lfvpipe.cli.discovery import Discovery

SCHEMA = f"{STATE_FOLDER}/pipeline.schema.json"


@dataclass(frozen=True, kw_only=True)
class InitOptions(Options):
    """What `lfvpipe init` reads."""

    paths: Annotated[
        tuple[str, ...],
        Option(
            metavar="PATH",
            about="a folder of images or of archives, or archives",
            completes="file",
        ),
    ]
    output: Annotated[
        str,
        Option(
            "-o",
            "--output",
            metavar="FILE",
            about="the file to write (default: pipeline.yaml)",
            completes="file",
        ),
    ] = "pipeline.yaml"
    force: Annotated[bool, Option("--force", about="overwrite the file if it exists")] = False
    json: Json = False


def run(options: InitOptions) -> int:
    """Write the pipeline file and say what it was made of; return 0."""
    target = Path(options.output)
    if target.exists() and not options.force:
        raise UsageError(f"{target} exists.", hint="Name another with --output, or say --force.")
    found = discover([Path(path) for path in options.paths])
    _write_schema(target)
    atomic.write_text(target, starter_file.text(found, target, SCHEMA))
    missing = starter_file.shortage(found)
    if options.json:
        output.print_json(_json(found, target, missing))
    else:
        _print(found, target, missing)
    return 0


def _write_schema(target: Path) -> None:
    """Put the schema where the file's modeline looks for it, so that editors complete and check."""
    atomic.write_bytes(target.parent / SCHEMA, schema_file("pipeline").read_bytes())


def _print(found: Discovery, target: Path, missing: str) -> None:
    print(f"found {found.layout}:")
    for kind, label in (("normal", found.normal), ("anomaly", found.anomaly)):
        count = "none: the model learns what good ones look like, and flags what does not"
        if label:
            count = f"{len(label.names)} images in {label.place.path}"
        print(f"  {kind:<8} {count}")
    for note in found.notes:
        print(f"  {note}")
    if missing:
        print(output.styled(f"  not enough for a run yet: {missing}", "yellow"))
        print(f"wrote {target}; next: name more images in it, then lfvpipe run {target}")
    else:
        print(f"wrote {target}; next: lfvpipe run {target}")


def _json(found: Discovery, target: Path, missing: str) -> dict[str, Any]:
    """Return `file`, `layout`, `normal`, `anomaly`, `sizes`, `notes`, `missing`."""
    return {
        "file": str(target),
        "layout": found.layout,
        "normal": len(found.normal.names),
        "anomaly": len(found.anomaly.names) if found.anomaly else 0,
        "sizes": [f"{width}x{height}" for width, height in found.sizes],
        "notes": list(found.notes),
        "missing": missing,
    }
