"""How few and how many images a service trains on: as documented, or as its machine can.

`documented` is what Lookout for Vision said of itself. `open` is what our own service does without
it: the detector learns from normal images alone, tests on what there is, and of more images than it
can hold draws so many to learn from.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from lfvpipe.lookout import rules

if TYPE_CHECKING:
    from collections.abc import Mapping

# Different anomalies below which the built-in detector does not learn from labels, so that they do
# more good among the test images; a test holds it against the detector's own number.
LEAST_ANOMALIES_LEARNT: Final = 5

# Of a single dataset; what the guide's service took out of it to test on was never published.
_SINGLE_TEST_SHARE: Final = 0.2


def single_test_size(count: int, *, anomalous: bool) -> int:
    """Return how many of a label's images in a single dataset our service tests on.

    Never none of two anomalies or more: what one of them teaches is less than what it tells. Of two
    normal images both are learnt from, as one alone does not tell what varies.
    """
    share = round(count * _SINGLE_TEST_SHARE)
    return max(share, 1) if anomalous and count >= 2 else share


@dataclass(frozen=True)
class Limits:
    """The fewest images of a project with two datasets, with a single one, of an anomaly type.

    And the most in a dataset; None is as many as there are.
    """

    min_train_normal: int = rules.MIN_TRAIN_NORMAL
    min_train_anomaly: int = rules.MIN_TRAIN_ANOMALY
    min_test_normal: int = rules.MIN_TEST_NORMAL
    min_test_anomaly: int = rules.MIN_TEST_ANOMALY
    min_single_normal: int = rules.MIN_SINGLE_NORMAL
    min_single_anomaly: int = rules.MIN_SINGLE_ANOMALY
    min_images_per_label: int = rules.MIN_IMAGES_PER_ANOMALY_LABEL
    min_images_per_label_single: int = rules.MIN_IMAGES_PER_ANOMALY_LABEL_SINGLE
    max_train_images: int | None = rules.MAX_TRAIN_IMAGES
    max_test_images: int | None = rules.MAX_TEST_IMAGES
    max_segmentation_train_images: int | None = rules.MAX_SEGMENTATION_TRAIN_IMAGES
    max_segmentation_test_images: int | None = rules.MAX_SEGMENTATION_TEST_IMAGES


DOCUMENTED: Final = Limits()
# From one image alone nobody can tell what varies: the detector wants two that differ.
OPEN: Final = Limits(
    min_train_normal=2,
    min_test_normal=0,
    min_test_anomaly=0,
    min_single_normal=2,
    min_single_anomaly=0,
    min_images_per_label=0,
    min_images_per_label_single=0,
    max_train_images=None,
    max_test_images=None,
    max_segmentation_train_images=None,
    max_segmentation_test_images=None,
)
LIMITS: Final[Mapping[str, Limits]] = {"documented": DOCUMENTED, "open": OPEN}
