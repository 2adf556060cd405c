"""`lfvpipe graph`: the steps, what needs what, and their states."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from lfvpipe.cli import output
from lfvpipe.cli.commands.status import STYLES, standings
from lfvpipe.cli.options import Json, Option, PipelineOptions
from lfvpipe.cli.plans import plan_variants
from lfvpipe.wrapping import plain_stream

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lfvpipe.cli.plans import VariantPlan

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
    plans = plan_variants(options)
    if options.json:
        output.print_json(_json(plans))
    elif options.format == "mermaid":
        print(_mermaid(plans[0]), file=plain_stream(sys.stdout))
    else:
        print("\n\n".join(_drawing(plan) for plan in plans))
    return 0


def _states(plan: VariantPlan) -> dict[str, str]:
    return {standing.row.step: standing.state for standing in standings(plan)}


def _needs(plan: VariantPlan) -> dict[str, tuple[str, ...]]:
    return {step.name: tuple(step.needs) for step in plan.variant.steps}


def _mermaid(plan: VariantPlan) -> str:
    states, needs = _states(plan), _needs(plan)
    # Mermaid's identifiers have neither colons nor dashes.
    identifiers = {name: name.replace(":", "_").replace("-", "_") for name in needs}
    lines = ["flowchart TD"]
    for name, identifier in identifiers.items():
        state = states[name]
        lines.append(f'  {identifier}["{name}<br/>{state}"]:::{state.replace(" ", "-")}')
    for name, needed in needs.items():
        lines += [f"  {identifiers[need]} --> {identifiers[name]}" for need in needed]
    for state in dict.fromkeys(states.values()):
        lines.append(f"  classDef {state.replace(' ', '-')} {COLOURS[state]}")
    return "\n".join(lines)


def _drawing(plan: VariantPlan) -> str:
    """Draw the steps level by level: each box under all that it needs, its needs beside it."""
    states, needs = _states(plan), _needs(plan)
    lines = [output.styled(plan.variant.title, "bold")]
    for index, level in enumerate(_levels(needs)):
        if index:
            lines.append("  │")
        for place, name in enumerate(level):
            text = f"{MARKS[states[name]]} {name}"
            style = STYLES[states[name]]
            shown = output.styled(text, style) if style else text
            beside = f"← {', '.join(needs[name])}" if needs[name] else ""
            pad = " " * max(1, 22 - len(text))
            corner = _corner(place, len(level))
            lines.append(f"  {corner} {shown}{pad}{output.styled(beside, 'dim')}".rstrip())
    used = dict.fromkeys(states.values())
    lines += ["", "  ".join(f"{MARKS[state]} {state}" for state in used)]
    return "\n".join(lines)


def _corner(place: int, count: int) -> str:
    """Return what joins a step to the others of its level."""
    if count == 1:
        return "●"
    if place == 0:
        return "┌"
    return "└" if place == count - 1 else "├"


def _levels(needs: Mapping[str, Sequence[str]]) -> list[list[str]]:
    """Return the steps by how many others they stand under, at most."""
    depth: dict[str, int] = {}
    for name, needed in needs.items():
        depth[name] = 1 + max((depth[need] for need in needed), default=-1)
    levels: list[list[str]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
    for name, level in depth.items():
        levels[level].append(name)
    return levels


def _json(plans: Sequence[VariantPlan]) -> dict[str, Any]:
    variants = []
    for plan in plans:
        states = _states(plan)
        steps = [
            {"step": name, "needs": list(needs), "state": states[name]}
            for name, needs in _needs(plan).items()
        ]
        variants.append({"variant": plan.variant.name, "steps": steps})
    return {"name": plans[0].variant.pipeline.name, "variants": variants}
