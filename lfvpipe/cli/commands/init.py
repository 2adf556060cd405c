"""`lfvpipe init`: look at images and write a commented pipeline file for them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from lfvpipe import atomic
from lfvpipe.cli import output
from lfvpipe.cli.options import STATE_FOLDER, Json, Option, Options
from lfvpipe.cli.private_state import private_state
from lfvpipe.cli.questions import can_ask
from lfvpipe.cli.starter import starter_file
from lfvpipe.cli.starter.choosing import Choices
from lfvpipe.cli.starter.discovery import NO_PRODUCT, discover
from lfvpipe.cli.starter.undecided import Asked
from lfvpipe.cli.usage import UsageError
from lfvpipe.config.names import pipeline_name
from lfvpipe.config.schema import schema_file
from lfvpipe.dataset.listing import COLUMNS
from lfvpipe.visible import visible

if TYPE_CHECKING:
    from lfvpipe.cli.starter.discovery import Discovery

SCHEMA = f"{STATE_FOLDER}/pipeline.schema.json"


def _what(flag: str, about: str) -> Option:
    """Return the option that says what images are."""
    return Option(flag, metavar="WHAT", is_greedy=True, about=about, completes="file")


@dataclass(frozen=True, kw_only=True)
class InitOptions(Options):
    """What `lfvpipe init` reads."""

    paths: Annotated[
        tuple[str, ...],
        Option(
            metavar="PATH",
            about="folders, archives, and files that list images: tables, exports, manifests",
            completes="file",
        ),
    ] = ()
    normal: Annotated[
        tuple[str, ...],
        _what("--normal", "what shows good products: folders, archives, globs, words of a table"),
    ] = ()
    anomaly: Annotated[tuple[str, ...], _what("--anomaly", "and these defective ones")] = ()
    leave_out: Annotated[
        tuple[str, ...], _what("--leave-out", "these neither, and are not used")
    ] = ()
    column: Annotated[
        tuple[str, ...],
        Option(
            "--column",
            metavar="WHAT=NAME",
            is_greedy=True,
            about="what a table's columns are called, where that is not known, by what they hold:"
            " path, folder, label, is_anomaly, split, type, mask, group",
        ),
    ] = ()
    unmarked: Annotated[
        Literal["listed", "normal", "leave-out"] | None,
        Option(
            "--unmarked",
            about="what images without a mark are, beside annotations: good where these list them"
            " (the default), all of them good, or left out",
        ),
    ] = None
    product: Annotated[
        str,
        Option(
            "--product",
            metavar="FOLDER",
            about="which product, where there are several; `all`: the folders are of one product",
        ),
    ] = ""
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
    if not options.paths and not options.normal:
        raise UsageError(
            "What to look at is not said.",
            hint="Name a folder or archives of images, such as `lfvpipe init photos`.",
        )
    found = discover([Path(path) for path in options.paths], _asked(options))
    name = _name(found, target)
    # Where the file's modeline looks for it, so that editors complete and check.
    with private_state(target.absolute().parent / STATE_FOLDER):
        atomic.write_bytes(target.parent / SCHEMA, schema_file("pipeline").read_bytes())
    atomic.write_text(target, starter_file.text(found, target, SCHEMA, name))
    missing = starter_file.shortage(found)
    if options.json:
        output.print_json(_json(found, target, missing))
    else:
        _print(found, target, missing)
    return 0


def _name(found: Discovery, target: Path) -> str:
    """Return what the pipeline is called after its product; "" where its file's name will do.

    A state that is there stays the one of this file, and that of another file does not become it.
    """
    name = pipeline_name(starter_file.project_name(found))
    if target.stem != InitOptions.output.removesuffix(".yaml") or name == NO_PRODUCT:
        return ""
    is_ours = target.exists() and re.search(
        rf'^name: *"?{re.escape(name)}"? *$', target.read_text(errors="replace"), re.MULTILINE
    )
    root = target.absolute().parent / STATE_FOLDER
    taken = (target.stem,) if is_ours else (target.stem, name)
    return "" if any((root / each).exists() for each in taken) else name


def _asked(options: InitOptions) -> Asked:
    choices = Choices(
        options.normal,
        options.anomaly,
        options.leave_out,
        _columns(options.column),
        are_all=not options.paths,
    )
    others: list[str] = ["--column", *options.column] if options.column else []
    for flag, word in (("--unmarked", options.unmarked), ("--product", options.product)):
        others += [flag, word] if word else []
    if options.output != InitOptions.output:
        others += ["--output", options.output]
    for flag, is_said in (("--force", options.force), ("--json", options.json)):
        others += [flag] if is_said else []
    return Asked(
        choices,
        options.unmarked,
        options.product,
        may_ask=can_ask() and not options.json,
        paths=options.paths,
        options=tuple(others),
    )


def _columns(words: tuple[str, ...]) -> dict[str, str]:
    """Return what the user says that columns are called, by what they hold."""
    said: dict[str, str] = {}
    for word in words:
        holds, sign, name = word.partition("=")
        if not sign or holds not in COLUMNS or not name.strip() or holds in said:
            raise UsageError(
                f"--column {word} does not say once what a column holds, and what it is called.",
                hint="Write WHAT=NAME, such as path=Aufnahme; WHAT is one of"
                f" {', '.join(COLUMNS)}.",
            )
        said[holds] = name
    return said


def _print(found: Discovery, target: Path, missing: str) -> None:
    print(f"found {found.layout}:")
    for line in found.used:
        print(f"  {visible(line)}")
    if found.split:
        print(
            "  the division into train and test is kept as it is; the file says how to divide anew"
        )
    if not found.count("anomaly"):
        print(
            "  none of defects: the model learns what good ones look like, and flags what does not"
        )
    if found.sizes and (size := starter_file.one_size(found)):
        sizes = ", ".join(f"{w}x{h} ({n})" for (w, h), n in found.sizes.most_common(4))
        more = f" and {len(found.sizes) - 4} more" if len(found.sizes) > 4 else ""
        print(output.styled(f"sizes of those looked at: {sizes}{more}", "yellow"))
        to = f"{size[0]}x{size[1]}"
        print(
            f"  brought to {to} by `images.resize`, whole and undistorted, with grey at the sides;"
        )
        print("  `check` says whether sizes tell labels apart")
    if found.group and not found.split:
        print(output.styled("several photographs seem to show one part:", "yellow"))
        print("  if so, keep each part on one side of the split; in the file, under `split`:")
        print(f"  {starter_file.group_entry(found.group)}")
    if kept := starter_file.withheld(found).names:
        print(f"{len(kept)} images, drawn by chance, are kept out to give verdicts on")
    _print_against(found)
    if found.left_out:
        print(output.styled("not used:", "yellow"))
        for line in found.left_out:
            print(f"  {visible(line)}")
    if missing:
        print(output.styled(f"not enough for a run yet: {missing}", "yellow"))
        print(f"wrote {target}; next: name more images in it, then lfvpipe run {target}")
    else:
        print(f"wrote {target}; next: lfvpipe run {target}")


def _print_against(found: Discovery) -> None:
    if len(found.against) == 1:
        print(f"  {visible(found.against[0])}")
    for at, line in enumerate(found.against if len(found.against) > 1 else ()):
        print(output.styled(line, "yellow") if at == 0 else visible(line))


def _json(found: Discovery, target: Path, missing: str) -> dict[str, Any]:
    """Return `file`, `layout`, counts, `sizes`, `group`, `used`, `left_out`, `missing`."""
    return {
        "file": str(target),
        "layout": found.layout,
        "normal": found.count("normal"),
        "anomaly": found.count("anomaly"),
        "train": sum(count for (_, part), count in found.counts.items() if part == "train"),
        "test": sum(count for (_, part), count in found.counts.items() if part == "test"),
        "sizes": [f"{width}x{height}" for width, height in found.sizes],
        "group": found.group or None,
        "used": list(found.used),
        "against": list(found.against),
        "left_out": list(found.left_out),
        "missing": missing,
    }
