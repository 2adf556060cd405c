"""The weights: read without torch, from a file that may ask for nothing else."""

import pickle
from collections import OrderedDict

import numpy as np
import pytest

from lfvpipe.detector import DetectorError
from lfvpipe.detector.backbone import checkpoint, graph
from lfvpipe.detector.backbone.network import network


class _Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (eval, ("1/0",))


def test_the_installed_checkpoint_holds_the_known_network() -> None:
    tensors = checkpoint.read()
    assert tensors["_conv_stem.weight"].shape == (32, 3, 3, 3)
    assert all((values >= 0).all() for name, values in tensors.items() if "running_var" in name)


def test_a_checkpoint_that_asks_for_code_is_refused() -> None:
    facts = pickle.dumps({"little_endian": True}, 2)
    head = pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2) + facts
    with pytest.raises(DetectorError, match="not allowed"):
        checkpoint.parse(head + pickle.dumps(OrderedDict(x=_Evil()), 2))


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04 zip", pickle.dumps([1, 2, 3], 2) * 3])
def test_other_files_are_refused(data: bytes) -> None:
    with pytest.raises(DetectorError):
        checkpoint.parse(data)


def _conv(image: np.ndarray, kernel: np.ndarray, stride: int, *, deep: bool) -> np.ndarray:
    """Plain convolution of (C, h, w) with the padding TensorFlow calls SAME."""
    out, _, side, _ = kernel.shape
    height, width = (-(-length // stride) for length in image.shape[1:])
    pads = [
        max(0, (n - 1) * stride + side - m)
        for n, m in ((height, image.shape[1]), (width, image.shape[2]))
    ]
    wide = np.pad(image, [(0, 0), *((pad // 2, pad - pad // 2) for pad in pads)])
    result = np.zeros((out, height, width))
    for dy in range(side):
        for dx in range(side):
            part = wide[:, dy : dy + height * stride : stride, dx : dx + width * stride : stride]
            part = part[:, :height, :width]
            result += (
                kernel[:, 0, dy, dx, None, None] * part
                if deep
                else np.einsum("oc,chw->ohw", kernel[:, :, dy, dx], part)
            )
    return result


def test_the_graph_computes_what_plain_numpy_computes() -> None:
    tensors = checkpoint.read()

    def layer(
        source: np.ndarray, weight: str, norm: str, stride: int = 1, *, deep: bool = False
    ) -> np.ndarray:
        last = _conv(source, tensors[weight], stride, deep=deep)
        scale = tensors[f"{norm}.weight"] / np.sqrt(tensors[f"{norm}.running_var"] + 1e-3)
        shifted = (last - tensors[f"{norm}.running_mean"][:, None, None]) * scale[:, None, None]
        return shifted + tensors[f"{norm}.bias"][:, None, None]

    pixels = np.random.default_rng(0).integers(0, 256, (80, 64, 3), dtype=np.uint8)
    last = (pixels.transpose(2, 0, 1).astype(float) - 127) / 128
    last = np.clip(layer(last, "_conv_stem.weight", "_bn0", 2), 0, 6)
    for index, block in enumerate(graph.BLOCKS[:4]):
        name, source = f"_blocks.{index}", last
        if block.expand:
            last = np.clip(layer(last, f"{name}._expand_conv.weight", f"{name}._bn0"), 0, 6)
        last = layer(
            last, f"{name}._depthwise_conv.weight", f"{name}._bn1", block.stride, deep=True
        )
        last = layer(np.clip(last, 0, 6), f"{name}._project_conv.weight", f"{name}._bn2")
        last = last + source if block.residual else last
    np.testing.assert_allclose(network().taps(pixels)[0], last, atol=2e-3)


def test_the_conversion_is_reproducible() -> None:
    tensors = checkpoint.read()
    assert graph.build_stem(tensors) == graph.build_stem(tensors)
    assert graph.build_rest(tensors, 4) == graph.build_rest(tensors, 4)
    shapes = [tap.shape for tap in network().taps(np.zeros((96, 160, 3), np.uint8))]
    assert shapes == [(24, 24, 40), (48, 12, 20), (88, 6, 10), (120, 6, 10)]
