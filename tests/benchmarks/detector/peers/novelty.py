"""The peers `patchcore` and `padim`: anomalib's models on EfficientNet-Lite2, from normal images.

The models are anomalib's own torch modules with its default settings, given timm's network of the
same architecture with the weights that lfvpipe has too. Scores are theirs before the
post-processing that clamps them to 0 and 1. A fifth of the normal images stays out of the model,
and with it the anomalous ones choose the threshold.
"""

import ctypes
import sys
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.benchmarks.detector.peers.job import Job, Trained, answer
from tests.benchmarks.detector.peers.lite2 import pixels, weights

torch: Any = import_module("torch")

BACKBONE = "tf_efficientnet_lite2"
STRIDES_8_16 = ["blocks.2", "blocks.4"]  # what layer2 and layer3 are of a ResNet
STRIDES_4_8_16 = ["blocks.1", "blocks.2", "blocks.4"]  # layer1 to layer3
DIMENSIONS = 100  # of PaDiM; anomalib knows a default for two ResNets only
CORESET = 0.1  # of PatchCore's patches; anomalib's default
BATCH = 8


def train(job: Job) -> Trained:
    """Fit the model that the job names."""
    learnt, kept_back = job.held_out((False,))
    kept_back += [each for each in job.train if each.anomaly]
    model = patchcore() if job.method == "patchcore" else padim()
    load(model.feature_extractor.feature_extractor)
    model.train()
    for start in range(0, len(learnt), BATCH):
        model(torch.stack([pixels(each.path) for each in learnt[start : start + BATCH]]))
    if job.method == "patchcore":
        model.subsample_embedding(CORESET)
        _keep_blocks()
    else:
        model.fit()
    model.eval()

    def score(path: str) -> float:
        with torch.inference_mode():
            return float(model(pixels(path)[None]).pred_score)

    def heat(path: str) -> NDArray[np.float32]:
        with torch.inference_mode():
            drawn: NDArray[np.float32] = model(pixels(path)[None]).anomaly_map[0, 0].numpy()
        return drawn

    return Trained(score, kept_back, calibrated=False, heat=heat)


def patchcore() -> Any:
    """Return an unfitted PatchCore."""
    module: Any = import_module("anomalib.models.image.patchcore.torch_model")
    return module.PatchcoreModel(STRIDES_8_16, BACKBONE, pre_trained=False)


def padim() -> Any:
    """Return an unfitted PaDiM."""
    module: Any = import_module("anomalib.models.image.padim.torch_model")
    return module.PadimModel(BACKBONE, STRIDES_4_8_16, pre_trained=False, n_features=DIMENSIONS)


def _keep_blocks() -> None:
    """Let glibc keep freed blocks again, as it does by default; judging is quicker for it."""
    if sys.platform == "linux":
        ctypes.CDLL(None).mallopt(-3, 32 * 1024**2)  # M_MMAP_THRESHOLD, at its largest


def load(network: Any) -> None:
    """Put the checkpoint into timm's network, which names the same layers, in order, otherwise."""
    own = network.state_dict()
    ordered = list(weights().values())[: len(own)]
    if [each.shape for each in own.values()] != [each.shape for each in ordered]:
        raise ValueError("the checkpoint's layers are not those of timm's network")
    network.load_state_dict(dict(zip(own, ordered, strict=True)))


if __name__ == "__main__":
    answer(train)
