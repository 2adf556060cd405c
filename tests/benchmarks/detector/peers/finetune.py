"""The peer `finetune`: EfficientNet-Lite2, all weights trained on the labelled images.

AdamW with a one-cycle rate, class-balanced cross-entropy, flips. The statistics of the batch
normalisation stay those of ImageNet: batches of eight say little. A fifth of the training images
is held out for the threshold and the calibration.
"""

from importlib import import_module
from typing import Any

import numpy as np

from tests.benchmarks.detector.peers.job import Job, Photograph, Trained, answer
from tests.benchmarks.detector.peers.lite2 import SIDE, pixels, weights

torch: Any = import_module("torch")

EPOCHS = 25
BATCH = 8
RATES = (5e-4, 5e-3)  # at the peak: of the backbone, of the new last layer
DECAY = 1e-2


def train(job: Job) -> Trained:
    """Fit the network; a fifth is kept back to calibrate it on."""
    learnt, kept_back = job.held_out((False, True))
    network = pretrained_network()
    fit(network, learnt, np.random.default_rng(job.seed))

    def score(path: str) -> float:
        with torch.inference_mode():
            return float(network(channels_last(pixels(path)[None])))

    return Trained(score, kept_back, calibrated=True)


def pretrained_network() -> Any:
    """Return the network with ImageNet's weights and one new output."""
    package: Any = import_module("efficientnet_lite_pytorch")
    network = package.EfficientNet.from_name("efficientnet-lite2", num_classes=1, image_size=SIDE)
    old = {name: tensor for name, tensor in weights().items() if not name.startswith("_fc.")}
    missing = network.load_state_dict(old, strict=False).missing_keys
    if missing != ["_fc.weight", "_fc.bias"]:
        raise ValueError(f"the checkpoint is not of this network: {missing}")
    return channels_last(network).eval()


def fit(network: Any, learnt: list[Photograph], random: np.random.Generator) -> None:
    """Train all weights of `network` on labelled images."""
    images = torch.stack([pixels(each.path) for each in learnt])
    truth = torch.tensor([float(each.anomaly) for each in learnt])
    balance = torch.where(truth > 0, 0.5 / truth.mean(), 0.5 / (1 - truth.mean()))
    optimizer, rate = _optimizer(network, -(-len(learnt) // BATCH) * EPOCHS)
    _training(network)
    for _ in range(EPOCHS):
        for chosen in np.array_split(random.permutation(len(learnt)), -(-len(learnt) // BATCH)):
            batch = torch.stack([_flip_at_random(images[i], random) for i in chosen])
            logits = network(channels_last(batch))[:, 0]
            loss = torch.nn.functional.binary_cross_entropy_with_logits(
                logits, truth[chosen], balance[chosen]
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            rate.step()
    network.eval()


def _optimizer(network: Any, steps: int) -> tuple[Any, Any]:
    last = list(network._fc.parameters())
    rest = [each for name, each in network.named_parameters() if not name.startswith("_fc.")]
    groups = [{"params": rest}, {"params": last}]
    optimizer = torch.optim.AdamW(groups, lr=RATES[0], weight_decay=DECAY)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimizer, list(RATES), total_steps=steps)
    return optimizer, rate


def _training(network: Any) -> None:
    """Set a network to training, but for batch statistics: those of few images are noise."""
    network.train()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eval()


def _flip_at_random(image: Any, random: np.random.Generator) -> Any:
    return image.flip([axis for axis in (1, 2) if random.random() < 0.5])


def channels_last(held: Any) -> Any:
    """Return a network or a batch in the order of memory that is quickest on a processor."""
    return held.to(memory_format=torch.channels_last)


if __name__ == "__main__":
    answer(train)
