"""Outlines of true and predicted masks, to be laid over pictures as the report lays them."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from lfvpipe.detector.facts import BACKGROUND, BACKGROUND_COLOR
from lfvpipe.report.masks import Painting, view_masks
from lfvpipe.storage import NoSuchObject, parse_s3_uri

if TYPE_CHECKING:
    from lfvpipe.console.evaluations import TrueMask
    from lfvpipe.report.masks import MaskView
    from lfvpipe.service import Service
    from lfvpipe.service.judging import Judged

LARGEST: Final = 64 * 1024 * 1024
"""Bytes of a mask that is read."""
_KEPT: Final = 5000  # images; some 2 KB each


class Outlines:
    """Draws what a model version marks in its test images; safe to call from many threads.

    What was drawn stays in memory: a page of a gallery asks for all of its images.

    Args:
        service: The region's.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._guard = threading.Lock()
        self._drawn: OrderedDict[tuple[str, ...], MaskView | None] = OrderedDict()

    def find(
        self, project: str, version: str, stand: str, source: str, truth: TrueMask | None
    ) -> MaskView | None:
        """Return the masks of a test image; None where nothing is marked.

        Args:
            project: Whose model it is.
            version: Which one.
            stand: What tells it from one that had the number before.
            source: The image's address.
            truth: Its true mask.

        Raises:
            Fault: There is no such model, or it cannot judge the image.
            StorageError: The image cannot be read.
        """
        which = (project, version, stand, source)
        with self._guard:
            if which in self._drawn:
                self._drawn.move_to_end(which)
                return self._drawn[which]
        bucket, key = parse_s3_uri(source)
        data = self._service.buckets.bucket(bucket).get(key, limit=LARGEST)
        drawn = self.draw(self._service.judge.judge(project, version, data), truth)
        with self._guard:
            self._drawn[which] = drawn
            while len(self._drawn) > _KEPT:
                self._drawn.popitem(last=False)
        return drawn

    def draw(self, judged: Judged, truth: TrueMask | None) -> MaskView | None:
        """Return the masks of an image that was judged; raises StorageError."""
        painted = None
        if truth is not None:
            bucket, key = parse_s3_uri(truth.source)
            try:
                data = self._service.buckets.bucket(bucket).get(key, limit=LARGEST)
                painted = Painting(data, truth.classes)
            except NoSuchObject:  # the other mask is shown all the same
                painted = None
        return view_masks(judged.size, painted, predicted_by(judged), is_normal=False)


def predicted_by(judged: Judged) -> Painting | None:
    """Return the mask that a model painted; None where it paints none, or white on white."""
    verdict = judged.verdict
    if verdict.mask_png is None:
        return None
    classes = {each.name: each.color for each in verdict.anomalies if each.name != BACKGROUND}
    return None if BACKGROUND_COLOR in classes.values() else Painting(verdict.mask_png, classes)
