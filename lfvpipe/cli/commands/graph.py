"""`lfvpipe graph`: the steps, what needs what, and their states."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from lfvpipe.cli import output, planning
from lfvpipe.cli.commands.status import STYLES, standings
from lfvpipe.cli.options import Json, Option, PipelineOptions

if TYPE_CHECKING:
    from lfvpipe.cli.output import Style
    from lfvpipe.cli.planning import Planned

MARKS = {
    "done": "✓",
    "stale": "~",
    "reusable": "<",
    "running": "»",
    "interrupted": "!",
    "failed": "✗",
    "never run": "·",
}
COLOURS = {
    "done": "fill:#d9f2e1,stroke:#1a7f37",
    "stale": "fill:#fff3d1,stroke:#9a6700",
    "reusable": "fill:#d5f0f6,stroke:#1b7c83",
    "running": "fill:#d5f0f6,stroke:#1b7c83",
    "interrupted": "fill:#fff3d1,stroke:#9a6700",
    "failed": "fill:#ffe0dd,stroke:#cf222e",
    "never run": "fill:#f6f8fa,stroke:#57606a",
}


@dataclass(frozen=True, kw_only=True)
class GraphOptions(PipelineOptions):
    """What `lfvpipe graph` reads."""

    format: Annotated[
        Literal["terminal", "mermaid"],
        Option(
            "--format",
            about="a drawing for the terminal, or Mermaid text (default: terminal)",
        ),
    ] = "terminal"
    json: Json = False


def run(options: GraphOptions) -> int:
    """Print the graph as a drawing, as Mermaid text, or as JSON; return 0."""
    planned = planning.plan_all(options)
    if options.json:
        output.print_json(_json(planned))
    elif options.format == "mermaid":
        print(_mermaid(planned[0]))
    else:
        print("\n\n".join(_drawing(one) for one in planned))
    return 0


def _states(one: Planned) -> dict[str, str]:
    return {standing.row.step: standing.state for standing in standings(one)}


def _needs(one: Planned) -> dict[str, tuple[str, ...]]:
    return {step.name: tuple(step.needs) for step in one.variant.steps}


def _mermaid(one: Planned) -> str:
    states = _states(one)
    lines = ["flowchart TD"]
    for step in one.variant.steps:
        name = step.name
        kind = states[name].replace(" ", "-")
        lines.append(f'  {_identifier(name)}["{name}<br/>{states[name]}"]:::{kind}')
    for name, needs in _needs(one).items():
        lines += [f"  {_identifier(need)} --> {_identifier(name)}" for need in needs]
    for state in dict.fromkeys(states.values()):
        lines.append(f"  classDef {state.replace(' ', '-')} {COLOURS[state]}")
    return "\n".join(lines)


def _identifier(name: str) -> str:
    return name.replace(":", "_").replace("-", "_")


def _drawing(one: Planned) -> str:
    """Draw the steps level by level: each box under all that it needs, its needs beside it."""
    states, needs = _states(one), _needs(one)
    lines = [output.styled(one.title, "bold")]
    levels = _levels(needs)
    for index, level in enumerate(levels):
        if index:
            lines.append("  │")
        lines += _level(level, states, needs)
    used = dict.fromkeys(states.values())
    lines += ["", "  ".join(f"{MARKS[state]} {state}" for state in used)]
    return "\n".join(lines)


def _level(
    level: list[str], states: dict[str, str], needs: dict[str, tuple[str, ...]]
) -> list[str]:
    lines = []
    for place, name in enumerate(level):
        corner = _corner(place, len(level))
        style: Style | None = STYLES[states[name]]
        text = f"{MARKS[states[name]]} {name}"
        shown = output.styled(text, style) if style else text
        beside = f"← {', '.join(needs[name])}" if needs[name] else ""
        pad = " " * max(1, 22 - len(text))
        lines.append(f"  {corner} {shown}{pad}{output.styled(beside, 'dim')}".rstrip())
    return lines


def _corner(place: int, count: int) -> str:
    if count == 1:
        return "●"
    return "├" if 0 < place < count - 1 else ("┌" if place == 0 else "└")


def _levels(needs: dict[str, tuple[str, ...]]) -> list[list[str]]:
    depth: dict[str, int] = {}
    for name, needed in needs.items():
        depth[name] = 1 + max((depth[need] for need in needed), default=-1)
    levels: list[list[str]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
    for name, level in depth.items():
        levels[level].append(name)
    return levels


def _json(planned: tuple[Planned, ...]) -> dict[str, Any]:
    variants = []
    for one in planned:
        states = _states(one)
        steps = [
            {"step": name, "needs": list(needs), "state": states[name]}
            for name, needs in _needs(one).items()
        ]
        variants.append({"variant": one.variant.name, "steps": steps})
    return {"name": planned[0].variant.context.pipeline.name, "variants": variants}
