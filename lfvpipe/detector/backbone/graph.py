"""EfficientNet-Lite2 up to stride 16 as ONNX graphs, from the installed checkpoint's tensors.

Architecture: Tan & Le, "EfficientNet" (ICML 2019), in its Lite form (no squeeze-excite, ReLU6,
fixed stem): https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite.
One graph, the stem, takes uint8 RGB of any size and returns the stride-4 map; another takes that
and returns the maps of later stages. They are apart so that the stem, whose maps are large, can
work on an image a strip at a time.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
VERSION = 3
EPSILON = 1e-3
OPSET = 17
IR_VERSION = 8


@dataclass(frozen=True)
class Block:
    """One inverted residual: expansion, kernel and stride of its depthwise convolution."""

    expand: bool
    kernel: int
    stride: int
    residual: bool


def _stage(repeats: int, kernel: int, stride: int, *, expand: bool = True) -> list[Block]:
    first = Block(expand, kernel, stride, residual=False)
    return [first] + [Block(expand, kernel, 1, residual=True)] * (repeats - 1)


BLOCKS: tuple[Block, ...] = (
    *_stage(1, 3, 1, expand=False),
    *_stage(3, 3, 2),
    *_stage(3, 5, 2),
    *_stage(4, 3, 2),
    *_stage(4, 5, 1),
)
TAPS = {3: "tap4", 6: "tap8", 10: "tap16", 14: "tap16b"}  # by block: what leaves the graph
CHANNELS = (24, 48, 88, 120)
STEM = 1 + next(iter(TAPS))  # blocks of it
REACH = 16  # px around a strip that its stride-4 map depends on (13 do); a multiple of 4


def build_stem(tensors: Mapping[str, Array]) -> bytes:
    """Return a serialised ONNX model: `pixels` uint8 (1, H, W, 3) → `tap4`, float32 (1, C, h, w).

    Batch normalisation is folded into the convolutions; (x - 127) / 128 is part of the graph,
    before the padding, as the network was trained.
    """
    from onnx import TensorProto

    graph = _Graph(tensors)
    last = graph.conv(graph.normalise("pixels"), "_conv_stem.weight", "_bn0", stride=2)
    for index, block in enumerate(BLOCKS[:STEM]):
        last = graph.block(last, index, block, TAPS.get(index))
    return graph.serialise(("pixels", TensorProto.UINT8, [1, "H", "W", 3]), [0])


def build_rest(tensors: Mapping[str, Array], taps: int) -> bytes:
    """Return a serialised ONNX model: `tap4` → the taps behind it, `taps` with it, (1, C, h, w)."""
    from onnx import TensorProto

    graph, last = _Graph(tensors), TAPS[STEM - 1]
    source = (last, TensorProto.FLOAT, [1, CHANNELS[0], "H", "W"])
    for index, block in enumerate(BLOCKS[: list(TAPS)[taps - 1] + 1]):
        if index >= STEM:
            last = graph.block(last, index, block, TAPS.get(index))
    return graph.serialise(source, range(1, taps))


class _Graph:
    def __init__(self, tensors: Mapping[str, Array]) -> None:
        self.tensors = tensors
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def normalise(self, pixels: str) -> str:
        self._node("Cast", [pixels], "as_float", to=1)
        self._node("Transpose", ["as_float"], "planes", perm=[0, 3, 1, 2])
        self._node("Sub", ["planes", self._constant("c127", np.float32(127))], "centred")
        return self._node("Mul", ["centred", self._constant("c128", np.float32(1 / 128))], "scaled")

    def block(self, source: str, index: int, block: Block, output: str | None) -> str:
        name = f"_blocks.{index}"
        last = source
        if block.expand:
            last = self.conv(source, f"{name}._expand_conv.weight", f"{name}._bn0")
        last = self.conv(
            last, f"{name}._depthwise_conv.weight", f"{name}._bn1", stride=block.stride, deep=True
        )
        projected = None if block.residual else output
        last = self.conv(
            last, f"{name}._project_conv.weight", f"{name}._bn2", act=False, output=projected
        )
        return (
            self._node("Add", [last, source], output or f"{name}.out") if block.residual else last
        )

    def conv(
        self,
        source: str,
        weight: str,
        norm: str,
        *,
        stride: int = 1,
        deep: bool = False,
        act: bool = True,
        output: str | None = None,
    ) -> str:
        kernel, bias = fold_batch_norm(self.tensors, weight, norm)
        inputs = [source, self._constant(weight, kernel), self._constant(f"{weight}.bias", bias)]
        last = self._node(
            "Conv",
            inputs,
            output or f"{weight}.out",
            auto_pad="SAME_UPPER",
            strides=[stride, stride],
            group=kernel.shape[0] if deep else 1,
        )
        if not act:
            return last
        low, high = self._constant("c0", np.float32(0)), self._constant("c6", np.float32(6))
        return self._node("Clip", [last, low, high], f"{last}.relu6")  # ReLU6

    def _node(self, op: str, inputs: list[str], output: str, **attributes: Any) -> str:
        from onnx import helper

        self.nodes.append(helper.make_node(op, inputs, [output], name=output, **attributes))
        return output

    def _constant(self, name: str, value: Any) -> str:
        from onnx import numpy_helper

        if all(known.name != name for known in self.constants):
            self.constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def serialise(self, source: tuple[str, int, list[Any]], taps: Iterable[int]) -> bytes:
        from onnx import TensorProto, helper

        names = list(TAPS.values())
        outputs = [
            helper.make_tensor_value_info(
                names[tap], TensorProto.FLOAT, [1, CHANNELS[tap], f"h{tap}", f"w{tap}"]
            )
            for tap in taps
        ]
        inputs = [helper.make_tensor_value_info(*source)]
        graph = helper.make_graph(self.nodes, "backbone", inputs, outputs, self.constants)
        opset = helper.make_operatorsetid("", OPSET)
        model = helper.make_model(graph, opset_imports=[opset], producer_name="lfvpipe")
        model.ir_version = IR_VERSION
        return bytes(model.SerializeToString(deterministic=True))


def fold_batch_norm(tensors: Mapping[str, Array], weight: str, norm: str) -> tuple[Array, Array]:
    """Return a convolution's kernel and bias with the batch normalisation behind it folded in."""
    mean, variance = tensors[f"{norm}.running_mean"], tensors[f"{norm}.running_var"]
    scale = tensors[f"{norm}.weight"] / np.sqrt(variance + np.float32(EPSILON))
    bias = tensors[f"{norm}.bias"] - mean * scale
    return tensors[weight] * scale[:, None, None, None], bias
