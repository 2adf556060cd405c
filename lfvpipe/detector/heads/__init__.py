"""The heads of the ensemble, one module each; `head.py` says what a head is and names the words.

| module | what it asks | source |
|---|---|---|
| `image_mahalanobis` | how far is the whole image from normal ones? | Rippel et al. 2020 |
| `memory_bank` | how far is each patch from any seen before? | PatchCore: Roth et al. 2022 |
| `cell_mahalanobis` | how far is each cell from normal ones, wherever it lies? | Mahalanobis |
| `multiple_instance` | how like an anomaly does each cell look? | MI-SVM: Andrews et al. 2002 |
| `padim` | how far is each cell from normal ones at its position? | PaDiM: Defard et al. 2020 |
| `fine_tuned` | how like an anomaly does it look to networks that learnt it? | see there |
| `pooled_classifier` | how like the labelled anomalies is the whole image? | logistic regression |
"""

from lfvpipe.detector.heads.cell_mahalanobis import CellMahalanobisHead
from lfvpipe.detector.heads.fine_tuned import FineTunedHead
from lfvpipe.detector.heads.head import Head
from lfvpipe.detector.heads.image_mahalanobis import ImageMahalanobisHead
from lfvpipe.detector.heads.memory_bank import MemoryBankHead
from lfvpipe.detector.heads.multiple_instance import MultipleInstanceHead
from lfvpipe.detector.heads.padim import PadimHead
from lfvpipe.detector.heads.pooled_classifier import PooledClassifierHead

# Those that learn what is normal, in the order in which they are fitted and asked.
NOVELTY_HEADS: tuple[type[Head], ...] = (
    ImageMahalanobisHead,
    MemoryBankHead,
    CellMahalanobisHead,
    MultipleInstanceHead,
    PadimHead,
)

# Those that learn from labels.
SUPERVISED_HEADS: tuple[type[Head], ...] = (FineTunedHead,)

# All that a model file may hold; those of lfvpipe 0.1.0 held a classifier of pooled maps.
HEADS: tuple[type[Head], ...] = (*NOVELTY_HEADS, PooledClassifierHead, *SUPERVISED_HEADS)

# In the order in which a blend sums a scale's scores and a model file lists them. The last bits of
# a sum depend on its order, and the same data give the same file: a new head goes last.
FILE_ORDER: tuple[type[Head], ...] = (
    ImageMahalanobisHead,
    MemoryBankHead,
    CellMahalanobisHead,
    PadimHead,
    PooledClassifierHead,
    MultipleInstanceHead,
    FineTunedHead,
)


def learns_labels(head: Head) -> bool:
    """Say whether a head learnt from labels; the others learn what is normal."""
    return isinstance(head, SUPERVISED_HEADS)


__all__ = ["FILE_ORDER", "HEADS", "NOVELTY_HEADS", "SUPERVISED_HEADS", "learns_labels"]
