"""The detector as a library: learn from two folders, and ask about an image."""

import sys
from pathlib import Path

from lfvpipe.detector import Example, train


def main(good: Path, bad: Path, new: Path) -> None:
    """Learn from the PNGs in `good` and `bad`, and print what is said of `new`."""
    examples = [Example(path, "normal") for path in sorted(good.glob("*.png"))]
    examples += [Example(path, "anomaly") for path in sorted(bad.glob("*.png"))]
    verdict = train(examples).detect(new)
    said = "anomalous" if verdict.is_anomalous else "normal"
    print(f"{new.name}: {said}, {verdict.confidence:.0%} sure")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
