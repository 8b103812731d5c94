"""How much arithmetic encoding is, and how much of it the machine can do.

What belongs here: counting products, the machine's matmul peak. What does not: the figures of a run
(`datashop_assets/encoding_figures.py`), choosing by them (`calibration.py`).
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

# Products of square matrices this large run at the peak of a core or a GPU, and a core does one in 0.1 to 0.2 s.
PEAK_SIZE = {"cpu": 2048, "cuda": 8192}


@dataclass(frozen=True)
class Work:
    """The products of a model's forward pass: its linear layers' weights, and attention by hidden size and depth."""

    weights: int
    last_layer_weights: int
    hidden: int
    layers: int

    def flops(self, lengths: Sequence[int], first_only: bool) -> float:
        """For documents of so many tokens; `first_only` where the last layer is reduced to the first row, whose keys
        and values alone are those of every token."""
        tokens, squares, documents = sum(lengths), sum(length * length for length in lengths), len(lengths)
        if not first_only:
            return 2.0 * self.weights * tokens + 4.0 * squares * self.hidden * self.layers
        keys_and_values = 2 * self.hidden**2
        below = self.weights - self.last_layer_weights + keys_and_values
        first = self.last_layer_weights - keys_and_values
        attended = squares * (self.layers - 1) + tokens
        return 2.0 * below * tokens + 2.0 * first * documents + 4.0 * attended * self.hidden


def work_of(model: Any) -> Work:
    """Counted from the model's linear layers; the pooler, which is not run, is left out."""
    from torch.nn import Linear

    linear = {
        name: module.weight.numel()
        for name, module in model.named_modules()
        if isinstance(module, Linear) and "pooler" not in name
    }
    layers = model.config.num_hidden_layers
    last = sum(size for name, size in linear.items() if f".{layers - 1}." in name)
    return Work(sum(linear.values()), last, model.config.hidden_size, layers)


@cache
def matmul_peak(device: str, precision: str) -> float:
    """FLOP/s of one thread, or of one GPU: the highest rate of three products by each library at hand.

    Of a thread, in its own processor seconds, so that other work on the machine does not lower it. int8 is compared
    with the peak of float32: a share above 1 says what it gains.
    """
    import torch

    from resources.encoders.linears import linear, onednn_at_hand

    size = PEAK_SIZE[device]
    reduced = precision == "bfloat16"
    rows, weight = torch.randn(size, size, device=device), torch.randn(size, size, device=device)
    bias = torch.zeros(size, device=device)
    if device == "cuda":
        kind = torch.bfloat16 if reduced else torch.float32
        layers = [linear("torch", weight.to(kind), bias.to(kind))]
        rows = rows.to(kind)
    elif onednn_at_hand():
        layers = [linear("bfloat16" if reduced else "onednn", weight, bias)]
        layers += [] if reduced else [linear("torch", weight, bias)]
    else:
        layers = [linear("torch", weight, bias)]
    with torch.inference_mode():
        return 2.0 * size**3 / min(_seconds(layer, rows, device) for layer in layers for _ in range(4))


def _seconds(layer: Any, rows: Any, device: str) -> float:
    import torch

    if device == "cuda":
        torch.cuda.synchronize()
    clock = time.perf_counter if device == "cuda" else time.thread_time
    begun = clock()
    layer(rows)
    if device == "cuda":
        torch.cuda.synchronize()
    return clock() - begun
