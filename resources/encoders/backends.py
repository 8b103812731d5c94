"""The ways to compute an encoder's vectors, and the one that is made for a device.

What belongs here: which ways there are for a model, a precision and a device; their batches. What does not: the forward
passes (`padded.py`, `packed.py`), which way is the fastest (`calibration.py`).

ONNX Runtime and OpenVINO are not among them: on two AVX2 cores they gave 1.4 and 1.5 times the padded loop where packed
rows gave 1.7, float32, all-MiniLM-L6-v2.
"""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from datashop_assets.encoder_settings import EncoderSettings
from resources.encoders.batches import packed_batches, padded_batches
from resources.encoders.linears import Kind, onednn_at_hand
from resources.encoders.packed import PackedForward, why_not_packed
from resources.encoders.padded import PaddedForward
from resources.language_models import ModelReferenceError

# Tokens a batch. On a processor larger ones fall out of the last-level cache: with batches of 4k padded tokens
# all-MiniLM-L6-v2 is 1.6 times as fast as with batches of 32 padded to 512, with 16k tokens 1.1 times; packed, 1k and
# 2k are alike and 8k is a tenth slower. A GPU needs more to be busy; its numbers are not measured.
BATCH_TOKENS = {
    ("padded", "cpu"): 4096,
    ("packed", "cpu"): 2048,
    ("padded", "cuda"): 65_536,
    ("packed", "cuda"): 65_536,
}

Forward = Callable[[Sequence[Sequence[int]]], Any]


@dataclass(frozen=True)
class Way:
    """How vectors are computed: packed rows with one kind of product, or (None) transformers' own padded pass."""

    kind: Kind | Literal["int8"] | None

    @property
    def name(self) -> str:
        return "transformers" if self.kind is None else f"packed/{self.kind}"

    @property
    def reduces_last_layer(self) -> bool:
        """Whether the last layer is computed for the first token alone where that one is pooled."""
        return self.kind not in (None, "int8")

    def batches(self, lengths: Sequence[int], device: str, shrunk: int) -> list[list[int]]:
        """Rows of each batch; the budget of tokens is halved `shrunk` times."""
        layout = "padded" if self.kind is None else "packed"
        budget = max(1, BATCH_TOKENS[layout, device] >> shrunk)
        return list((padded_batches if self.kind is None else packed_batches)(lengths, budget))

    def forward(self, model: Any, settings: EncoderSettings, pad_id: int) -> Forward:
        """The forward pass on the model's device; the model itself is shared and never changed."""
        first_only = settings.pooling == "cls"
        if self.kind == "int8":
            raise ValueError("int8 has no way over the model's own weights: see resources/encoders/int8.py")
        if self.kind is None:
            return PaddedForward(_cast(model, settings), first_only, pad_id)
        return PackedForward(model if model.device.type == "cpu" else _cast(model, settings), first_only, self.kind)


def ways(settings: EncoderSettings, config: Any, device: str) -> list[Way]:
    """The ways that give what the settings ask for, the library's own first.

    Raises ModelReferenceError where there is none for this model.
    """
    refused = why_not_packed(config)
    wanted: list[Way] = []
    if settings.backend != "packed" and settings.precision in (
        ("float32",) if device == "cpu" else ("float32", "bfloat16")
    ):
        wanted.append(Way(None))
    if settings.backend != "transformers" and refused is None:
        wanted += [Way(kind) for kind in _kinds(settings.precision, device)]
    if not wanted:
        why = refused or "neither transformers nor this device has it"
        raise ModelReferenceError(
            f"encoder {settings.model!r} cannot be computed with backend {settings.backend!r} and precision "
            f"{settings.precision!r} on {device}: {why}; set encoder.backend to auto and encoder.precision to float32"
        )
    return wanted


def _kinds(precision: str, device: str) -> list[Kind | Literal["int8"]]:
    import torch

    if device == "cuda":
        # Packed attention exists in bfloat16 only there.
        return ["torch"] if precision == "bfloat16" else []
    if precision == "int8":
        return ["int8"]
    if precision == "bfloat16":
        # Emulated it is a hundred times as slow as float32.
        return ["bfloat16"] if torch.cpu.get_capabilities().get("avx512_bf16") and onednn_at_hand() else []
    return ["onednn", "torch"] if onednn_at_hand() else ["torch"]


def _cast(model: Any, settings: EncoderSettings) -> Any:
    import torch

    # A copy: other ways are measured with the same model.
    return copy.deepcopy(model).to(torch.bfloat16) if settings.precision == "bfloat16" else model
