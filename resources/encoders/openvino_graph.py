"""The forward pass of an encoder in float32, as a graph that OpenVINO compiled for this processor.

What belongs here: tracing a model into a graph, one document a call, what must be kept from going wrong there. What
does not: whether it is the fastest way (`calibration.py`), where graphs are kept (`conversions.py`).

One document a call: there is no padding, and a document's vector does not depend on its company. The first call with a
length makes kernels for it, 3 to 6 ms for all-MiniLM-L6-v2: a process pays that for some hundred lengths, once.
"""

import importlib.util
import logging
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from resources.encoders.conversions import Conversions
from resources.encoders.packed import why_not_packed
from resources.encoders.padded import PaddedForward
from resources.language_models import ModelReferenceError

# Of a graph that was traced with one length and is run with these: short after long, long after short.
TRIED = (2, 300, 5, 70)
TRACED = 12
TOLERANCE = 1e-4


class OpenVinoForward:
    """Documents' ids to pooled vectors, on processors only; safe to call from as many threads as it was made for."""

    def __init__(
        self, model: Any, first_only: bool, pad_id: int, max_tokens: int, conversions: Conversions, threads: int = 1
    ) -> None:
        """Raises ModelReferenceError where OpenVINO does not know what is in the model, or computes other vectors."""
        openvino = _package()
        folder = _converted(model, first_only, conversions)
        core = openvino.Core()
        compiled = core.compile_model(
            core.read_model(folder / "graph.xml"),
            "CPU",
            {
                # Said, because on processors with bfloat16 products it computes with these otherwise.
                "INFERENCE_PRECISION_HINT": "f32",
                "EXECUTION_MODE_HINT": "ACCURACY",
                # A stream is a thread that takes one document at a time; all read the same weights.
                "NUM_STREAMS": threads,
                "INFERENCE_NUM_THREADS": threads,
                # Two processes on one machine would be pinned to the same cores.
                "ENABLE_CPU_PINNING": False,
            },
        )
        self._requests: SimpleQueue[Any] = SimpleQueue()
        for _ in range(threads):
            self._requests.put(compiled.create_infer_request())
        self._single = PaddedForward(model, first_only, pad_id)
        self._check(max_tokens, model)

    def __call__(self, documents: Sequence[Sequence[int]]) -> Any:
        """Vectors float32 [documents, hidden], not normalised: the first token's, or the mean of all."""
        import torch

        return torch.stack([self._vector(ids) for ids in documents])

    def _vector(self, ids: Sequence[int]) -> Any:
        import numpy as np
        import torch

        # OpenVINO 2026.4.1: where a stream's first call has one token, all with 16 and more are wrong afterwards, by .1
        # to 3.8 (13 models of 13, that differed in heads). Where each call has two or more, none of 1,508 was.
        if len(ids) < 2:
            return self._single([ids])[0]
        request = self._requests.get()
        try:
            return torch.from_numpy(request.infer([np.array([ids], np.int64)])[0][0].copy())
        finally:
            self._requests.put(request)

    def _check(self, max_tokens: int, model: Any) -> None:
        """The graph and the model give the same vectors: what is traced may hold for the traced length alone."""
        import torch

        lengths = [min(length, max_tokens) for length in TRIED]
        documents = [[(7919 * n + 1000) % model.config.vocab_size for n in range(length)] for length in lengths]
        with torch.inference_mode():
            off = max(float((self([ids]) - self._single([ids])).abs().max()) for ids in documents)
        # Not "off > TOLERANCE": a vector that is no number is another vector.
        if not off <= TOLERANCE:
            raise ModelReferenceError(
                f"OpenVINO's vectors of a {model.config.model_type!r} model differ from transformers' by {off:.1g}; "
                "set encoder.backend to auto"
            )


def why_not_openvino(precision: str, device: str) -> str | None:
    """Why nothing is computed here, or None; whether it knows the model is found by converting it."""
    if device != "cpu" or precision != "float32":
        return "OpenVINO computes float32 on processors here"
    if importlib.util.find_spec("openvino") is None:
        return "the package openvino is missing: pip install datashop[openvino]"
    return None


def openvino_version() -> str:
    """The installed one: another may be faster or slower, and reads other graphs."""
    return version("openvino")


def reduces(config: Any) -> bool:
    """Whether the last layer is computed for the first token alone where that one is pooled."""
    return why_not_packed(config) is None


def _package() -> Any:
    # By this package it tells its maker of every import and every conversion, unless a person has refused. Where there
    # is none it is silent: nothing is sent from here.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino

    return openvino


def _converted(model: Any, first_only: bool, conversions: Conversions) -> Path:
    name = f"openvino-{openvino_version()}-{'cls' if first_only else 'mean'}"
    return conversions.folder(name, lambda target: _convert(model, first_only, target))


def _convert(model: Any, first_only: bool, target: Path) -> None:
    import torch

    openvino = _package()
    ids = torch.arange(TRACED)[None] % model.config.vocab_size
    try:
        with _quiet(), torch.inference_mode():
            graph = openvino.convert_model(
                _pooled(model, first_only), example_input=(ids,), input=[([1, -1], openvino.Type.i64)]
            )
    except Exception as error:
        first = str(error).strip().partition("\n")[0]
        raise ModelReferenceError(
            f"OpenVINO cannot convert a {model.config.model_type!r} model ({type(error).__name__}: {first}); "
            "set encoder.backend to auto"
        ) from error
    # Its default halves the weights' precision.
    openvino.save_model(graph, target / "graph.xml", compress_to_fp16=False)


def _pooled(model: Any, first_only: bool) -> Any:
    """The model with its pooling, as a module of torch that takes ids alone: [1, tokens] to [1, hidden]."""
    import torch

    class Pooled(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, ids: Any) -> Any:
            if first_only and reduces(model.config):
                return _first_token(self.model, ids)
            states = self.model(input_ids=ids).last_hidden_state
            return states[:, 0] if first_only else states.mean(1)

    return Pooled().eval()


def _first_token(model: Any, ids: Any) -> Any:
    """The first token's vector of a BERT-type model, its last layer for that row alone.

    OpenVINO does not reduce it by itself: sliced after the whole layer, the graph took as long as with the mean.
    """
    from torch.nn.functional import scaled_dot_product_attention

    *below, last = model.encoder.layer
    own, heads = last.attention.self, model.config.num_attention_heads
    rows = model.embeddings(input_ids=ids)
    for layer in below:
        rows = layer(rows)
    parts = [
        each.unflatten(-1, (heads, -1)).transpose(1, 2)
        for each in (own.query(rows[:, :1]), own.key(rows), own.value(rows))
    ]
    seen = scaled_dot_product_attention(*parts).transpose(1, 2).flatten(2)
    middle = last.attention.output(seen, rows[:, :1])
    return last.output(last.intermediate(middle), middle)[:, 0]


@contextmanager
def _quiet() -> Iterator[None]:
    """Without torch's warnings of what a trace fixes, which `_check` tells of, and transformers' own.

    A conversion that fails leaves the root logger at ERROR, with a filter and a handler of OpenVINO's: nobody's
    warnings would be told after it. They are taken back.
    """
    root, log = logging.getLogger(), logging.getLogger("transformers")
    before = root.level, list(root.filters), list(root.handlers)
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)
        root.setLevel(before[0])
        root.filters[:], root.handlers[:] = before[1:]
