"""Keeps the verdicts of `lfvpipe detect`, so that `lfvpipe review --of detect` can show them."""

from __future__ import annotations

import sys
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Self

from lfvpipe.dataset import kept
from lfvpipe.visible import visible_name

if TYPE_CHECKING:
    from pathlib import Path

    from lfvpipe.cli.variants import Variant
    from lfvpipe.cli.verdicts import ImageVerdict
    from lfvpipe.steps.hosting import Hosting

_AT_ONCE = 100  # a kill loses no more


class Keeper:
    """Keeps verdicts as they come, from any thread; what is left is written when the block ends.

    That they cannot be kept is said once, at the end: the verdicts are what was asked for.

    Args:
        variant: Whose model is asked.
        model: The model.
        is_wanted: False lets everything pass.
    """

    def __init__(self, variant: Variant, model: Hosting, *, is_wanted: bool) -> None:
        context = variant.context
        self._store = kept.store_of(context.state_root, context.pipeline.region, model.project)
        self._version = model.version
        self._is_wanted = is_wanted
        self._guard = threading.Lock()
        self._waiting: list[kept.KeptVerdict] = []
        self._error: OSError | None = None

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, *_: object) -> None:
        """Write what waits, and say so if nothing could be written."""
        with self._guard:
            self._write()
        if self._error is not None:
            why = self._error.strerror or self._error
            print(f"note: {self._store.folder}: verdicts are not kept ({why})", file=sys.stderr)

    def keep(
        self,
        image: Path,
        data: bytes,
        size: tuple[int, int],
        said: ImageVerdict,
        *,
        threshold: float,
    ) -> None:
        """Keep a verdict.

        Args:
            image: The photograph, as the user named it.
            data: Its file's bytes.
            size: Width and height of the image as it was judged, pixels.
            said: The verdict.
            threshold: The score from which it is that of an anomaly.
        """
        if not self._is_wanted or said.is_anomalous is None or said.confidence is None:
            return
        verdict = kept.KeptVerdict(
            sha256=kept.digest_of(data),
            name=visible_name(str(image)),
            path=str(image.absolute()),
            width=size[0],
            height=size[1],
            is_anomalous=said.is_anomalous,
            confidence=said.confidence,
            model=self._version,
            when=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            anomalies=said.anomalies,
            unlikeness=said.unlikeness,
            threshold=threshold,
        )
        with self._guard:
            self._waiting.append(verdict)
            if len(self._waiting) >= _AT_ONCE:
                self._write()

    def _write(self) -> None:
        try:
            self._store.keep_all(self._waiting)
        except OSError as error:
            self._error = error
        self._waiting = []
