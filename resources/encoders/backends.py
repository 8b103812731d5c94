"""The ways to compute an encoder's vectors, and the one that is made for a device.

What belongs here: which ways there are for a model, a precision and a device; their batches. What does not: the forward
passes (`padded.py`, `packed.py`, `openvino_graph.py`, `int8.py`), which way is the fastest (`calibration.py`).

Measured with all-MiniLM-L6-v2 in float32 on a Zen 5 core (AVX-512) that others used too, real documents of up to 512
tokens, processor seconds of forward passes, times the rate of packed rows with oneDNN's product: OpenVINO 2026.4.1 1.13
(1.00-1.22; mean, 48 documents, 7 paired rounds) and 1.06 (0.98-1.12; first token); ONNX Runtime 1.31.1 with torch's
exporter 0.80 (0.62-0.82; mean, 16 documents, 5 rounds), so that it is not among them; CTranslate2 in float32 some 0.99
(8 documents). On two AVX2 cores an earlier OpenVINO lost to packed rows: 1.5 times the padded loop against 1.7.
"""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from datashop_assets.encoder_settings import EncoderSettings
from resources.encoders.batches import packed_batches, padded_batches
from resources.encoders.conversions import Conversions
from resources.encoders.int8 import Int8Forward, converted
from resources.encoders.linears import Kind, onednn_at_hand
from resources.encoders.local_files import encoder_folder
from resources.encoders.openvino_graph import OpenVinoForward, openvino_version, reduces, why_not_openvino
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
    """How vectors are computed: packed rows with one kind of product, a graph compiled by OpenVINO, or (None)
    transformers' own padded pass."""

    kind: Kind | Literal["int8", "openvino"] | None

    @property
    def name(self) -> str:
        if self.kind == "openvino":
            return "openvino"
        return "transformers" if self.kind is None else f"packed/{self.kind}"

    @property
    def made_by(self) -> str:
        """The name, with the version of a library that another one may replace: what a measurement holds for."""
        return f"openvino {openvino_version()}" if self.kind == "openvino" else self.name

    def reduces_last_layer(self, config: Any) -> bool:
        """Whether the last layer is computed for the first token alone where that one is pooled."""
        return reduces(config) if self.kind == "openvino" else self.kind not in (None, "int8")

    def batches(self, lengths: Sequence[int], device: str, shrunk: int) -> list[list[int]]:
        """Rows of each batch; the budget of tokens is halved `shrunk` times."""
        layout = "padded" if self.kind is None else "packed"
        budget = max(1, BATCH_TOKENS[layout, device] >> shrunk)
        return list((padded_batches if self.kind is None else packed_batches)(lengths, budget))

    def forward(
        self, model: Any, settings: EncoderSettings, pad_id: int, conversions: Conversions, threads: int = 1
    ) -> Forward:
        """The forward pass on the model's device, for so many threads; the model itself is shared and never changed.

        Raises ModelReferenceError where the way's library cannot take the model.
        """
        first_only = settings.pooling == "cls"
        if self.kind == "int8":
            return Int8Forward(converted(encoder_folder(settings.model), conversions), first_only, threads)
        if self.kind == "openvino":
            return OpenVinoForward(model, first_only, pad_id, settings.max_tokens, conversions, threads)
        if self.kind is None:
            return PaddedForward(_cast(model, settings), first_only, pad_id)
        return PackedForward(model if model.device.type == "cpu" else _cast(model, settings), first_only, self.kind)


def ways(settings: EncoderSettings, config: Any, device: str) -> list[Way]:
    """The ways that give what the settings ask for, the library's own first.

    Raises ModelReferenceError where there is none for this model.
    """
    not_packed, not_openvino = why_not_packed(config), why_not_openvino(settings.precision, device)
    wanted: list[Way] = []
    if settings.backend in ("auto", "transformers") and settings.precision in (
        ("float32",) if device == "cpu" else ("float32", "bfloat16")
    ):
        wanted.append(Way(None))
    if settings.backend in ("auto", "packed") and not_packed is None:
        wanted += [Way(kind) for kind in _kinds(settings.precision, device)]
    if settings.backend in ("auto", "openvino") and not_openvino is None:
        wanted.append(Way("openvino"))
    if not wanted:
        refused = not_openvino if settings.backend == "openvino" else not_packed
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
