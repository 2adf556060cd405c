"""Keeps what clients ask about, where the service was told to, for `lfvpipe review --of detect`."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lfvpipe.dataset import kept
from lfvpipe.dataset.kept import Bounds, KeptVerdict, Store
from lfvpipe.service.log import service_log

if TYPE_CHECKING:
    from pathlib import Path

    from lfvpipe.decision import Decision
    from lfvpipe.detector import Verdict
    from lfvpipe.service.state.models import Model


@dataclass(frozen=True)
class VerdictKeeper:
    """Keeps verdicts, with the images as they came; safe to use from threads.

    Attributes:
        state_root: The folder of all state.
        most: How many verdicts of a project are kept, besides the bound on their bytes.
    """

    state_root: Path
    most: int

    def keep(
        self, region: str, model: Model, body: bytes, verdict: Verdict, decision: Decision
    ) -> None:
        """Keep a verdict; that it cannot be kept costs the client nothing, and is logged."""
        called = decision.call(verdict.probability)
        digest = kept.digest_of(body)
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        made = KeptVerdict(
            sha256=digest,
            name=f"image {digest[:12]} of {now[:10]}",
            path=None,
            width=model.width or 0,
            height=model.height or 0,
            is_anomalous=called.is_anomalous,
            confidence=called.confidence,
            model=str(model.version),
            when=now,
            anomalies=tuple(
                (each.name, each.fraction)
                for each in verdict.anomalies
                if each.name.lower() != "background"
            ),
            unlikeness=verdict.unlikeness if verdict.is_unlike else None,
            threshold=decision.threshold,
        )
        store = self.store(region, model.project)
        try:
            store.keep(made, body)
        except OSError as error:
            service_log().warning("a verdict is not kept", folder=str(store.folder), why=str(error))

    def store(self, region: str, project: str) -> Store:
        """Return what is kept of a project, by this service and by `lfvpipe detect`."""
        return kept.store_of(self.state_root, region, project, Bounds(verdicts=self.most))
