"""The peer `supersimplenet`: anomalib's model on EfficientNet-Lite2, with or without masks.

The model and its loss are anomalib's own torch modules with its default settings, optimiser and
rates, given timm's network with the weights that lfvpipe has too; its own ResNet's are not to be
had. It learns from normal images, with noise in feature space for anomalies; with --masks also from
anomalous images that have a mask (fully supervised: anomalib refuses anomalies without one). Two
things are our choice and not its authors': 20 passes over the images, not 300, since one over
a hundred images takes a processor most of a minute; and the noise's strength, a share of the
features' own spread, since theirs is said to fit torchvision's ResNets only. A fifth of what it
learns from is kept back.
"""

from functools import partial
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tests.benchmarks.detector.peers.job import Job, Photograph, Trained, answer
from tests.benchmarks.detector.peers.lite2 import SIDE, pixels
from tests.benchmarks.detector.peers.novelty import BACKBONE, STRIDES_8_16, load

torch: Any = import_module("torch")

EPOCHS = 20
BATCH = 8
RATES = (1e-4, 2e-4)  # anomalib's, of the adaptor and of the heads
DECAY = 1e-5  # anomalib's, of the heads
CLIPPED = 1.0  # anomalib's bound on gradients where it is supervised
NOISE = 0.1  # of the features' standard deviation


def train(job: Job) -> Trained:
    """Fit the model to the images that it can learn from; the other anomalies are kept back."""
    supervised = any(each.mask for each in job.train)
    learnt, _ = job.held_out((False, True) if supervised else (False,))
    usable = [each for each in learnt if each.mask or not each.anomaly]
    kept_back = [each for each in job.train if each not in usable]
    model = build(supervised=supervised)
    fit(model, usable, np.random.default_rng(job.seed), supervised=supervised)

    def score(path: str) -> float:
        with torch.inference_mode():
            return float(torch.logit(model(pixels(path)[None]).pred_score.double()))

    def heat(path: str) -> NDArray[np.float32]:
        with torch.inference_mode():
            drawn: NDArray[np.float32] = model(pixels(path)[None]).anomaly_map[0, 0].numpy()
        return drawn

    return Trained(score, kept_back, calibrated=supervised, heat=heat)


def build(*, supervised: bool) -> Any:
    """Return an untrained model around the pretrained backbone."""
    module: Any = import_module("anomalib.models.image.supersimplenet.torch_model")
    module.TimmFeatureExtractor = partial(module.TimmFeatureExtractor, pre_trained=False)
    model = module.SupersimplenetModel(
        backbone=BACKBONE, layers=STRIDES_8_16, stop_grad=not supervised
    )
    load(model.feature_extractor.feature_extractor.feature_extractor)
    return model


def fit(
    model: Any, learnt: list[Photograph], random: np.random.Generator, *, supervised: bool
) -> None:
    """Train adaptor and heads, as anomalib's Lightning module does."""
    loss: Any = import_module("anomalib.models.image.supersimplenet.loss").SSNLoss()
    images = torch.stack([pixels(each.path) for each in learnt])
    masks = torch.stack([mask(each) for each in learnt])
    labels = torch.tensor([float(each.anomaly) for each in learnt])
    with torch.no_grad():
        spread = float(model.feature_extractor(images[:BATCH]).std())
    model.anomaly_generator.noise_std = NOISE * spread
    heads = {"params": model.segdec.parameters(), "lr": RATES[1], "weight_decay": DECAY}
    optimizer = torch.optim.AdamW([{"params": model.adaptor.parameters(), "lr": RATES[0]}, heads])
    steps = [int(EPOCHS * 0.8), int(EPOCHS * 0.9)]
    rate = torch.optim.lr_scheduler.MultiStepLR(optimizer, milestones=steps, gamma=0.4)
    model.train()
    for _ in range(EPOCHS):
        order = random.permutation(len(learnt))
        for chosen in np.array_split(order, -(-len(learnt) // BATCH)):
            found = model(images[chosen], masks[chosen], labels[chosen])
            optimizer.zero_grad()
            loss(*found).backward()
            if supervised:
                torch.nn.utils.clip_grad_norm_(model.parameters(), CLIPPED)
            optimizer.step()
        rate.step()
    model.eval()


def mask(photograph: Photograph) -> Any:
    """Return which pixels a mask marks, float32 (SIDE, SIDE); none without a mask."""
    if photograph.mask is None:
        return torch.zeros(SIDE, SIDE)
    with Image.open(photograph.mask) as image:
        marked = np.asarray(image.convert("RGBA"))[..., :3].any(-1)
    small = Image.fromarray(marked.astype(np.float32)).resize((SIDE, SIDE), Image.Resampling.BOX)
    return torch.from_numpy(np.array(small) > 0).float()


if __name__ == "__main__":
    answer(train)
