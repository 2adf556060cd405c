"""The last blocks of the backbone and two small heads as ONNX graphs: to train, and to judge with.

onnxruntime runs graphs forward only, so the gradients are a part of the graph that trains: each
layer is written down together with its derivative, and one run gives the loss and what each
parameter adds to it. Nothing but onnxruntime is needed to train, and the same layers judge.

What is seen of an image are two maps of the frozen part of the backbone, `fine` of stride 8 and
`coarse` of stride 16. `coarse` goes through the blocks that learn. The evidence map is what two
layers of one by one pixel say of each position of all maps together; its highest cells are the
local logit of the image (multiple-instance learning: Ilse et al. 2018; the map and the image head
beside each other: SuperSimpleNet, Rolih et al. 2024). The global logit is a linear one of the last
map's means and maxima.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lfvpipe.detector.backbone.graph import BLOCKS, CHANNELS, IR_VERSION, OPSET, fold_batch_norm

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lfvpipe.detector.arrays import Floats
    from lfvpipe.detector.layout import Layout, Sizes

FIRST = 11  # of the backbone's blocks that learn; those before stay frozen
EXPANSION = 6  # times as many channels inside a block as come in
HIDDEN = 64  # channels of the evidence map's first layer
_FINE, _COARSE, _LAST = CHANNELS[1], CHANNELS[2], CHANNELS[3]

Parameters = dict[str, "Floats"]


def pretrained(tensors: Mapping[str, Any]) -> tuple[Parameters, Parameters]:
    """Return the blocks' parameters that learn, and those that stay, as the checkpoint has them.

    The pointwise convolutions and all biases learn. The depthwise kernels stay: they are few, and
    their gradient costs more than that of all the others.
    """
    learning: Parameters = {}
    fixed: Parameters = {}
    for index in range(FIRST, len(BLOCKS)):
        source = f"_blocks.{index}"
        parts = {"expand": ("_expand_conv", "_bn0"), "deep": ("_depthwise_conv", "_bn1")}
        parts["project"] = ("_project_conv", "_bn2")
        for part, (weight, norm) in parts.items():
            kernel, bias = fold_batch_norm(tensors, f"{source}.{weight}.weight", f"{source}.{norm}")
            (fixed if part == "deep" else learning)[f"{index}.{part}.weight"] = kernel
            learning[f"{index}.{part}.bias"] = bias
    return learning, fixed


def new_heads(random: np.random.Generator) -> Parameters:
    """Return the heads' parameters as they begin: next to nothing is anomalous."""

    def draw(shape: tuple[int, ...], spread: float) -> Floats:
        return (random.standard_normal(shape) * spread).astype(np.float32)

    wide = _FINE + _COARSE + _LAST
    first = (2 / wide) ** 0.5
    return {
        "evidence.fine": draw((HIDDEN, _FINE, 1, 1), first),
        "evidence.coarse": draw((HIDDEN, _COARSE, 1, 1), first),
        "evidence.last": draw((HIDDEN, _LAST, 1, 1), first),
        "evidence.bias": np.zeros(HIDDEN, np.float32),
        "evidence.out": draw((1, HIDDEN, 1, 1), 0.01),
        "evidence.offset": np.full(1, -3, np.float32),
        "image.mean": draw((1, _LAST), 0.005),
        "image.maximum": draw((1, _LAST), 0.005),
        "image.offset": np.zeros(1, np.float32),
    }


def network_layout() -> Layout:
    """Return the sizes of all that a network learns, and of what stays."""
    layout: dict[str, Sizes] = {}
    for index in range(FIRST, len(BLOCKS)):
        into, kernel = (_COARSE if index == FIRST else _LAST), BLOCKS[index].kernel
        wide = EXPANSION * into
        layout |= {f"{index}.expand.weight": (wide, into, 1, 1), f"{index}.expand.bias": (wide,)}
        layout |= {f"{index}.deep.weight": (wide, 1, kernel, kernel), f"{index}.deep.bias": (wide,)}
        layout |= {
            f"{index}.project.weight": (_LAST, wide, 1, 1),
            f"{index}.project.bias": (_LAST,),
        }
    heads = new_heads(np.random.default_rng(0))
    return {**layout, **{name: values.shape for name, values in heads.items()}}


def build_judge(network: Mapping[str, Floats]) -> bytes:
    """Return the model of a network, all of whose parameters are given.

    Inputs: `fine` (B, 48, 2h, 2w), `coarse` (B, 88, h, w), and `count` (1,), how many cells make
    the local logit. Outputs: `local` and `global`, logits (B, 1); `evidence`, logits of all cells.
    """
    graph = _Graph()
    for name, values in network.items():
        graph.constant(name, values)
    outputs = _forward(graph)
    return graph.serialise(
        _inputs(), {"local": outputs.local, "global": outputs.image, "evidence": outputs.evidence}
    )


def build_step(parameters: Mapping[str, Floats], fixed: Mapping[str, Floats]) -> bytes:
    """Return a model that takes a batch and all `parameters`, and returns loss and gradients.

    Further inputs: `labels` (B, 1), 1 for anomalies; `weights` (B, 1) of the images; `cells`
    (B, 1, 2h, 2w), 1 where a mask marks an anomaly; `trust` of each cell, 0 where nothing is known.
    Outputs: `loss`, and `d NAME` of each parameter, in their order.
    """
    from onnx import TensorProto

    graph = _Graph()
    for name, values in fixed.items():
        graph.constant(name, values)
    outputs = _forward(graph)
    losses = [
        graph.cross_entropy(outputs.local, "labels", "weights"),
        graph.cross_entropy(outputs.image, "labels", "weights"),
        graph.cross_entropy(outputs.evidence, "cells", "trust"),
    ]
    graph.run_backward()
    known = {name: (TensorProto.FLOAT, list(each.shape)) for name, each in parameters.items()}
    extra = {
        "labels": (TensorProto.FLOAT, ["B", 1]),
        "weights": (TensorProto.FLOAT, ["B", 1]),
        "cells": (TensorProto.FLOAT, ["B", 1, "H", "W"]),
        "trust": (TensorProto.FLOAT, ["B", 1, "H", "W"]),
    }
    found = {"loss": graph.node("Sum", losses)}
    found |= {f"d {name}": graph.gradient(name) for name in parameters}
    return graph.serialise({**_inputs(), **extra, **known}, found)


@dataclass(frozen=True)
class _Outputs:
    local: str
    image: str
    evidence: str


def _inputs() -> dict[str, tuple[int, list[Any]]]:
    from onnx import TensorProto

    return {
        "fine": (TensorProto.FLOAT, ["B", _FINE, "H", "W"]),
        "coarse": (TensorProto.FLOAT, ["B", _COARSE, "h", "w"]),
        "count": (TensorProto.INT64, [1]),
    }


def _forward(graph: _Graph) -> _Outputs:
    """Write down the network; derivatives come along."""
    last = "coarse"
    for index in range(FIRST, len(BLOCKS)):
        block, source = BLOCKS[index], last
        wide = graph.relu6(graph.pointwise(source, f"{index}.expand"))
        deep = graph.relu6(graph.depthwise(wide, f"{index}.deep", block.kernel))
        last = graph.pointwise(deep, f"{index}.project")
        if block.residual:
            last = graph.add(last, source)
    # The sum over a concatenation of maps, without magnifying the coarse ones first.
    small = graph.add(
        graph.project("coarse", "evidence.coarse"), graph.project(last, "evidence.last")
    )
    hidden = graph.relu(
        graph.add_bias(
            graph.add(graph.project("fine", "evidence.fine"), graph.magnify(small)), "evidence.bias"
        )
    )
    evidence = graph.add_bias(graph.project(hidden, "evidence.out"), "evidence.offset")
    image = graph.add_bias(
        graph.add(
            graph.linear(graph.mean(last), "image.mean"),
            graph.linear(graph.maximum(last), "image.maximum"),
        ),
        "image.offset",
        axes=[0],
        shape=[1, 1],
    )
    return _Outputs(graph.highest(evidence, "count"), image, evidence)


class _Graph:
    """ONNX nodes; each layer also remembers how to write down its derivative."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: dict[str, Any] = {}
        self._backward: list[Callable[[], None]] = []
        self._gradients: dict[str, list[str]] = {}
        self._frozen = {"fine", "coarse"}

    # --- What ONNX has -------------------------------------------------------------------------

    def node(self, op: str, inputs: list[str], **attributes: Any) -> str:
        """Add a node; return the name of its output."""
        return self.nodes_of(op, inputs, 1, **attributes)[0]

    def nodes_of(self, op: str, inputs: list[str], count: int, **attributes: Any) -> list[str]:
        """Add a node with several outputs; return their names."""
        from onnx import helper

        names = [f"{op}.{len(self.nodes)}.{each}" for each in range(count)]
        self.nodes.append(helper.make_node(op, inputs, names, **attributes))
        return names

    def constant(self, name: str, value: Any) -> str:
        """Add a constant, once."""
        from onnx import numpy_helper

        if name not in self.constants:
            self.constants[name] = numpy_helper.from_array(np.asarray(value), name)
        return name

    def numbers(self, *values: int) -> str:
        """Return a constant list of whole numbers."""
        return self.constant(f"i{values}", np.array(values, np.int64))

    def number(self, value: float) -> str:
        """Return a constant number."""
        return self.constant(f"f{value}", np.float32(value))

    def serialise(
        self, inputs: Mapping[str, tuple[int, list[Any]]], outputs: Mapping[str, str]
    ) -> bytes:
        """Return the model with these inputs, and outputs by what they are called."""
        from onnx import TensorProto, helper

        for called, name in outputs.items():
            self.nodes.append(helper.make_node("Identity", [name], [called]))
        graph = helper.make_graph(
            self.nodes,
            "fine-tuning",
            [helper.make_tensor_value_info(name, *each) for name, each in inputs.items()],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
            list(self.constants.values()),
        )
        opset = helper.make_operatorsetid("", OPSET)
        model = helper.make_model(graph, opset_imports=[opset], producer_name="lfvpipe")
        model.ir_version = IR_VERSION
        return bytes(model.SerializeToString(deterministic=True))

    # --- Derivatives ---------------------------------------------------------------------------

    def gradient(self, name: str) -> str:
        """Return what is known by now of the loss's derivative by `name`, summed."""
        parts = self._gradients[name]
        return parts[0] if len(parts) == 1 else self.node("Sum", parts)

    def run_backward(self) -> None:
        """Write down all derivatives, from the loss to the parameters."""
        for each in reversed(self._backward):
            each()

    def _add_gradient(self, name: str, value: str) -> None:
        self._gradients.setdefault(name, []).append(value)

    def _sum_to_bias(self, values: str) -> str:
        return self.node("ReduceSum", [values, self.numbers(0, 2, 3)], keepdims=0)

    def _keep_where(self, said: str, values: str) -> str:
        """Return the values where something is true, 0 elsewhere.

        Multiplied, since "Where" is so slow that a whole step takes a sixth longer with it.
        """
        return self.node("Mul", [self.node("Cast", [said], to=1), values])

    # --- Layers --------------------------------------------------------------------------------

    def pointwise(self, source: str, name: str) -> str:
        """Add a convolution of one by one pixel, with its bias."""
        return self.add_bias(self.project(source, f"{name}.weight"), f"{name}.bias")

    def project(self, source: str, weight: str) -> str:
        """Add the same without a bias: each position's channels (B, I, h, w) to (B, O, h, w)."""
        result = self.node("Conv", [source, weight])

        def derive() -> None:
            outer = self.gradient(result)
            flat = self.numbers(0, 0, -1)
            sides = [self.node("Reshape", [each, flat]) for each in (outer, source)]
            turned = self.node("Transpose", [sides[1]], perm=[0, 2, 1])
            products = self.node("MatMul", [sides[0], turned])  # (B, O, I)
            total = self.node("ReduceSum", [products, self.numbers(0)], keepdims=0)
            shaped = self.node("Unsqueeze", [total, self.numbers(2, 3)])
            self._add_gradient(weight, shaped)
            if source not in self._frozen:
                back = self.node("Transpose", [weight], perm=[1, 0, 2, 3])
                self._add_gradient(source, self.node("Conv", [outer, back]))

        self._backward.append(derive)
        return result

    def depthwise(self, source: str, name: str, kernel: int) -> str:
        """Add a convolution channel by channel, whose kernels (C, 1, k, k) stay as they are."""
        weight, bias = f"{name}.weight", f"{name}.bias"
        from onnx import numpy_helper

        values = numpy_helper.to_array(self.constants[weight])
        shape: dict[str, Any] = {"group": len(values), "pads": [kernel // 2] * 4}
        result = self.node("Conv", [source, weight], **shape)

        def derive() -> None:
            turned = self.constant(f"{weight} turned", values[:, :, ::-1, ::-1].copy())
            outer = self.gradient(result)
            self._add_gradient(source, self.node("Conv", [outer, turned], **shape))

        self._backward.append(derive)
        return self.add_bias(result, bias)

    def add_bias(
        self,
        source: str,
        bias: str,
        axes: list[int] | None = None,
        shape: list[int] | None = None,
    ) -> str:
        """Add a number a channel."""
        spread = self.node("Reshape", [bias, self.numbers(*(shape or (1, -1, 1, 1)))])
        result = self.node("Add", [source, spread])

        def derive() -> None:
            outer = self.gradient(result)
            self._add_gradient(source, outer)
            if axes is None:
                total = self._sum_to_bias(outer)
            else:
                kept = self.node("ReduceSum", [outer, self.numbers(*axes)], keepdims=0)
                total = self.node("Reshape", [kept, self.numbers(-1)])
            self._add_gradient(bias, total)

        self._backward.append(derive)
        return result

    def add(self, one: str, other: str) -> str:
        """Add two maps."""
        result = self.node("Add", [one, other])

        def derive() -> None:
            for each in (one, other):
                if each not in self._frozen:
                    self._add_gradient(each, self.gradient(result))

        self._backward.append(derive)
        return result

    def relu6(self, source: str) -> str:
        """Clip at 0 and 6."""
        low, high = self.number(0), self.number(6)
        result = self.node("Clip", [source, low, high])

        def derive() -> None:
            inside = self.node(
                "And",
                [self.node("Greater", [result, low]), self.node("Less", [result, high])],
            )
            self._add_gradient(source, self._keep_where(inside, self.gradient(result)))

        self._backward.append(derive)
        return result

    def relu(self, source: str) -> str:
        """Clip at 0."""
        result = self.node("Relu", [source])

        def derive() -> None:
            inside = self.node("Greater", [result, self.number(0)])
            self._add_gradient(source, self._keep_where(inside, self.gradient(result)))

        self._backward.append(derive)
        return result

    def magnify(self, source: str) -> str:
        """Repeat each position 2 by 2."""
        scales = self.constant("twice", np.array([1, 1, 2, 2], np.float32))
        how = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric"}
        result = self.node("Resize", [source, "", scales], nearest_mode="floor", **how)

        def derive() -> None:
            pooled = self.node(
                "AveragePool", [self.gradient(result)], kernel_shape=[2, 2], strides=[2, 2]
            )
            self._add_gradient(source, self.node("Mul", [pooled, self.number(4)]))

        self._backward.append(derive)
        return result

    def mean(self, source: str) -> str:
        """Take each channel's mean, (B, C)."""
        result = self.node("ReduceMean", [source], axes=[2, 3], keepdims=0)

        def derive() -> None:
            outer = self.node("Unsqueeze", [self.gradient(result), self.numbers(2, 3)])
            shape = self.node("Shape", [source])
            area = self.node("Slice", [shape, self.numbers(2), self.numbers(4)])
            cells = self.node("Cast", [self.node("ReduceProd", [area], keepdims=0)], to=1)
            each = self.node("Div", [outer, cells])
            self._add_gradient(source, self.node("Expand", [each, shape]))

        self._backward.append(derive)
        return result

    def maximum(self, source: str) -> str:
        """Take each channel's maximum, (B, C)."""
        result = self.node("ReduceMax", [source], axes=[2, 3], keepdims=0)

        def derive() -> None:
            outer, peak = (
                self.node("Unsqueeze", [each, self.numbers(2, 3)])
                for each in (self.gradient(result), result)
            )
            where = self.node("Equal", [source, peak])
            self._add_gradient(source, self._keep_where(where, outer))

        self._backward.append(derive)
        return result

    def linear(self, source: str, weight: str) -> str:
        """Add a weighted sum of channels: (B, C) to (B, O)."""
        result = self.node("Gemm", [source, weight], transB=1)

        def derive() -> None:
            outer = self.gradient(result)
            self._add_gradient(weight, self.node("Gemm", [outer, source], transA=1))
            self._add_gradient(source, self.node("Gemm", [outer, weight]))

        self._backward.append(derive)
        return result

    def highest(self, source: str, count: str) -> str:
        """Take the mean of the highest `count` cells of a map (B, 1, h, w): (B, 1)."""
        flat = self.node("Flatten", [source])
        values, _where = self.nodes_of("TopK", [flat, count], 2)
        result = self.node("ReduceMean", [values], axes=[1], keepdims=1)

        def derive() -> None:
            least = self.node("ReduceMin", [values], axes=[1], keepdims=1)
            among = self.node("Not", [self.node("Less", [flat, least])])
            some = self.node("Cast", [among], to=1)
            # Ties share: the sum is 1 for each image, whatever their number.
            share = self.node(
                "Div",
                [some, self.node("ReduceSum", [some, self.numbers(1)], keepdims=1)],
            )
            spread = self.node("Mul", [share, self.gradient(result)])
            shape = self.node("Shape", [source])
            self._add_gradient(source, self.node("Reshape", [spread, shape]))

        self._backward.append(derive)
        return result

    def cross_entropy(self, logits: str, truth: str, weights: str) -> str:
        """Add up the weighted -log p(truth): a loss, whose derivative begins all others."""
        each = self.node(
            "Sub",
            [self.node("Softplus", [logits]), self.node("Mul", [truth, logits])],
        )
        loss = self.node("ReduceSum", [self.node("Mul", [each, weights])], keepdims=0)

        def derive() -> None:
            wrong = self.node("Sub", [self.node("Sigmoid", [logits]), truth])
            self._add_gradient(logits, self.node("Mul", [wrong, weights]))

        self._backward.append(derive)
        return loss
