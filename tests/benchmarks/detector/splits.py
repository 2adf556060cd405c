"""Which images a method learns from and which it is tested on."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from lfvpipe.detector import Example


@dataclass(frozen=True)
class Run:
    """One split of one set, for one method.

    Attributes:
        share: Of each label, to learn from; the rest is tested on.
        anomalies: The most anomalous images to learn from; the tests stay the same.
        masks: Whether masks are learnt from.
    """

    name: str
    method: str
    normal: list[Example]
    anomaly: list[Example]
    seed: int
    share: float
    anomalies: int | None
    masks: bool

    def split(self) -> tuple[list[Example], list[Example]]:
        """Return (training, test) examples; masks are learnt from only where the run says so."""
        random = np.random.default_rng(self.seed)
        learnt, tested = [], []
        for group, limit in ((self.normal, None), (self.anomaly, self.anomalies)):
            order = random.permutation(len(group))
            cut = round(self.share * len(group))
            learnt += [group[i] for i in order[:cut][:limit]]
            tested += [group[i] for i in order[cut:]]
        if self.masks:
            return learnt, tested
        return [Example(each.path, each.label) for each in learnt], tested

    def facts(self) -> dict[str, Any]:
        """Return what tells the run from others, with the numbers of images learnt from."""
        labels = [each.label for each in self.split()[0]]
        return {
            "set": self.name,
            "method": self.method,
            "seed": self.seed,
            "normals": labels.count("normal"),
            "anomalies": labels.count("anomaly"),
        }
