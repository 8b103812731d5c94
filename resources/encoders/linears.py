"""Products of packed rows with a layer's weights, in the ways that a processor offers.

What belongs here: one class a way; each takes float32 rows [rows, in] and gives float32 rows [rows, out]. What does
not: which of them is taken (`calibration.py`).

Why there are several: torch hands float32 products to MKL, which uses 256-bit instructions on processors that are not
Intel's, whatever they can do. oneDNN, which torch brings along too, uses all: on a Zen 5 core 210 GFLOP/s against 91,
at the shapes of all-MiniLM-L6-v2; held to AVX2 it reaches 107. Its weights are put into its own layout once.
"""

from collections.abc import Callable, Sequence
from typing import Any, Literal, Protocol

Kind = Literal["torch", "onednn", "bfloat16"]
# The names of an activation's two forms in oneDNN, by their names in transformers.
_GELU = {"gelu": "none", "gelu_new": "tanh", "gelu_pytorch_tanh": "tanh"}


class Linear(Protocol):
    """A layer: rows times weight, plus bias, and the activation where it has one."""

    def __call__(self, rows: Any) -> Any: ...


def onednn_at_hand() -> bool:
    """Whether torch was built with oneDNN."""
    import torch

    return bool(torch.backends.mkldnn.is_available())  # type: ignore[no-untyped-call]


def linear(kind: Kind, weight: Any, bias: Any, activation: str | None = None) -> Linear:
    """A layer of weight [out, in] and bias [out]; `activation` is its name in transformers."""
    if kind == "torch":
        return TorchLinear(weight, bias, activation)
    return OneDnnLinear(weight, bias, activation, reduced=kind == "bfloat16")


class TorchLinear:
    """torch's own product, on any device and in the weights' type."""

    def __init__(self, weight: Any, bias: Any, activation: str | None) -> None:
        self._weight, self._bias, self._activation = weight, bias, activation_of(activation)

    def __call__(self, rows: Any) -> Any:
        from torch.nn.functional import linear

        return self._activation(linear(rows, self._weight, self._bias))


class OneDnnLinear:
    """oneDNN's product over weights in its own layout, with the activation in the same pass; on processors only."""

    def __init__(self, weight: Any, bias: Any, activation: str | None, reduced: bool) -> None:
        import torch

        self._type = torch.bfloat16 if reduced else torch.float32
        self._weight = torch.ops.mkldnn._reorder_linear_weight(weight.to(self._type).contiguous(), None)
        self._bias = bias.to(self._type)
        self._product = torch.ops.mkldnn._linear_pointwise
        fused = activation in _GELU
        self._fused: tuple[str, Sequence[Any], str] = ("gelu", [], _GELU[activation]) if fused else ("none", [], "")  # type: ignore[index]
        self._activation = activation_of(None if fused else activation)

    def __call__(self, rows: Any) -> Any:
        made = self._product(rows.to(self._type), self._weight, self._bias, *self._fused)
        return self._activation(made.float())


def activation_of(name: str | None) -> Callable[[Any], Any]:
    """An activation by its name in transformers; what comes in, where there is none."""
    if name is None:
        return _same
    from transformers.activations import ACT2FN

    return ACT2FN[name]  # type: ignore[no-any-return]


def _same(rows: Any) -> Any:
    return rows
