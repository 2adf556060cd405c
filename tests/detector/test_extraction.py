"""What one look at an image keeps for learning."""

import numpy as np

from lfvpipe.detector.extraction import ScaleFeatures


def features_of(classes: list[int]) -> ScaleFeatures:
    """Return an image of two rows and three columns of cells, in these classes."""
    nothing = np.zeros((1, 1), np.float32)
    return ScaleFeatures(64, nothing, nothing[0], (2, 3), np.array(classes), nothing[0])


CELLS = np.arange(6, dtype=np.float32)[:, None]


def test_only_what_a_mask_marks_is_learnt_from_in_every_mirrored_view() -> None:
    marked = features_of([0, 0, 1, 0, 0, 0])
    assert [marked.only_marked(CELLS, view).ravel().tolist() for view in range(4)] == [
        [2.0],  # as it is: the first row's last
        [0.0],
        [5.0],
        [3.0],
    ]


def test_without_marks_all_cells_are_learnt_from() -> None:
    assert (features_of([0] * 6).only_marked(CELLS, 0) == CELLS).all()
