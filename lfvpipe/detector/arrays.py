"""The kinds of arrays that the detector computes with; shapes stand in each docstring."""

import numpy as np
from numpy.typing import NDArray

Bools = NDArray[np.bool_]
Pixels = NDArray[np.uint8]  # RGB, (H, W, 3), or grey, (H, W)
Integers = NDArray[np.int64]
Halves = NDArray[np.float16]  # features on disk
Floats = NDArray[np.float32]  # features, and all that is as large as they are
Doubles = NDArray[np.float64]  # what is solved for, and scores of images
