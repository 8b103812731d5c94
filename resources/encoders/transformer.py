"""Text to vector by a frozen transformer.

What belongs here: the encoder's id, loading it, and the order of work: tokens, batches, forward passes on all devices.
What does not: each of these (a module each beside this one), how vectors are stored
(`datashop_assets/embedding/embed.py`), what is learnt from them (`datashop_assets/classifier/`).
"""

import copy
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from queue import SimpleQueue
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datashop_assets.encoder_settings import EncoderSettings
from datashop_assets.encoding_figures import EncodingFigures
from datashop_assets.lineage import content_id
from resources import language_models
from resources.encoders.backends import Forward, Way, ways
from resources.encoders.calibration import fastest
from resources.encoders.conversions import Conversions
from resources.encoders.figures import Work, matmul_peak, work_of
from resources.encoders.local_files import encoder_folder, short_name
from resources.encoders.memory import in_parts
from resources.encoders.tokens import Tokens
from resources.encoders.windows import Windows, combine
from resources.language_models import ModelReferenceError, torch_threads

# Texts tokenised ahead and sorted by length together.
BLOCK = 512


@dataclass(frozen=True)
class _Loaded:
    """What is in memory: a forward pass for each thread or GPU, all of one way."""

    tokens: Tokens
    windows: Windows | None
    way: Way
    forwards: Sequence[Forward]
    work: Work
    reduced: bool
    device: str


class TransformerEncoder:
    """A frozen encoder with mean or CLS pooling. The model loads at the first text.

    In float32, the default, it agrees with transformers and sentence-transformers to 1e-5. Runs on every GPU that there
    is, a copy of the model on each, else with `threads` threads; None takes the cores that this process may use. Which
    way is the fastest is measured at the first text and remembered in the folder `cache`, where one is given.
    """

    def __init__(self, settings: EncoderSettings, threads: int | None = None, cache: Path | None = None) -> None:
        self.settings = settings
        self._threads = threads or len(os.sched_getaffinity(0))
        self._cache = cache
        self._usage = EncodingFigures()
        self._shrunk = 0
        self._counting = Lock()

    @cached_property
    def id(self) -> str:
        """Name, pooling and 8 hex digits of the model's content and all settings of the vectors; needs no torch.

        Raises ModelReferenceError where the model is not there.
        """
        settings = self.settings
        weights = language_models.content_id(settings.model)
        # The library's own precision and the first window are not named: ids are what they were without a choice.
        others: list[str] = [] if settings.precision == "float32" else [settings.precision]
        others += [] if settings.windows == "first" else [settings.windows, str(settings.most_windows)]
        digits = content_id(weights, settings.pooling, settings.normalize, settings.max_tokens, *others, length=8)
        return f"{short_name(settings.model)}-{settings.pooling}-{digits}"

    @property
    def usage(self) -> EncodingFigures:
        """What was encoded since this encoder was made; subtract an earlier one for what came after it."""
        return self._usage

    @property
    def backend(self) -> str:
        """The way that vectors are computed here, e.g. `packed/onednn`; loads the model."""
        return self._loaded.way.name

    def local_directory(self) -> Path:
        """The folder with the encoder's config, tokenizer and weights. Raises ModelReferenceError."""
        return encoder_folder(self.settings.model)

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed the texts: float32 of shape [texts, dimension], in order. Of a text longer than `max_tokens` the first
        window is read, or several, as the settings say.

        A batch that does not fit the memory is halved, and so are those after it.
        """
        windows = self._loaded.windows
        if windows is None:
            return self._unit_length(self._encoded(texts, self._loaded.tokens))
        divided = windows(texts)
        flat = [ids for each in divided for ids in each]
        vectors = self._unit_length(self._encoded(flat, lambda some: some))
        return self._unit_length(combine(vectors, divided, "max" if self.settings.windows == "max" else "mean"))

    def _unit_length(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        if self.settings.normalize:
            vectors /= np.linalg.norm(vectors, axis=1, keepdims=True).clip(1e-12)
        return vectors

    def _encoded(self, texts: Sequence[Any], tokenise: Callable[[Any], Sequence[Sequence[int]]]) -> NDArray[np.float32]:
        """The texts' vectors as the model gives them, in order; tokenised a block ahead."""
        loaded = self._loaded
        vectors = np.empty((len(texts), loaded.work.hidden), np.float32)
        blocks = [slice(start, start + BLOCK) for start in range(0, len(texts), BLOCK)]
        # One thread a product: two workers with a batch each are faster than two threads on one batch.
        with torch_threads(1), ThreadPoolExecutor(1) as reader, ThreadPoolExecutor(len(loaded.forwards)) as pool:
            ahead = [reader.submit(tokenise, texts[block]) for block in blocks[:1]]
            for number, block in enumerate(blocks):
                begun = time.perf_counter()
                tokens = ahead.pop().result()
                ahead += [reader.submit(tokenise, texts[after]) for after in blocks[number + 1 : number + 2]]
                vectors[block] = self._vectors(tokens, pool)
                self._count([len(ids) for ids in tokens], time.perf_counter() - begun)
        return vectors

    def _vectors(self, tokens: Sequence[Sequence[int]], pool: ThreadPoolExecutor) -> NDArray[np.float32]:
        """The batches' vectors from all threads or GPUs at once."""
        import torch

        loaded = self._loaded
        free: SimpleQueue[Forward] = SimpleQueue()
        for forward in loaded.forwards:
            free.put(forward)

        def run(rows: list[int]) -> list[NDArray[np.float32]]:
            forward = free.get()
            try:
                with torch.inference_mode():
                    parts = in_parts(forward, [tokens[row] for row in rows], self._halve)
                    return [part.cpu().numpy() for part in parts]
            finally:
                free.put(forward)

        vectors = np.empty((len(tokens), loaded.work.hidden), np.float32)
        batches = loaded.way.batches([len(ids) for ids in tokens], loaded.device, self._shrunk)
        before = self._usage.halved_batches
        for rows, parts in zip(batches, pool.map(run, batches), strict=True):
            vectors[rows] = np.concatenate(parts)
        self._shrunk += self._usage.halved_batches > before
        return vectors

    def _halve(self) -> None:
        with self._counting:
            self._usage += EncodingFigures(halved_batches=1)

    def _count(self, lengths: Sequence[int], seconds: float) -> None:
        loaded = self._loaded
        peak = matmul_peak(loaded.device, self.settings.precision) * len(loaded.forwards)
        done = loaded.work.flops(lengths, loaded.reduced)
        with self._counting:
            self._usage += EncodingFigures(len(lengths), sum(lengths), seconds, done, peak * seconds)

    @cached_property
    def _loaded(self) -> _Loaded:
        import torch

        model, tokenizer = self._read()
        settings = self.settings
        cuda = [f"cuda:{number}" for number in range(torch.cuda.device_count())]
        device = "cuda" if cuda else "cpu"
        model = model.to(cuda[0]) if cuda else model
        # The mask hides padding from every other token; an encoder without a padding token may use any id.
        pad_id = tokenizer.pad_token_id or 0
        with torch_threads(1):
            conversions = Conversions(language_models.content_id(settings.model), self._cache)
            way = fastest(ways(settings, model.config, device), model, settings, pad_id, conversions)
            if cuda:
                forwards = [way.forward(copy.deepcopy(model).to(to), settings, pad_id, conversions) for to in cuda]
            else:
                forwards = [way.forward(model, settings, pad_id, conversions, self._threads)] * self._threads
        tokens = Tokens(tokenizer, settings.max_tokens)
        several = settings.windows != "first"
        windows = Windows(tokenizer, settings.max_tokens, settings.most_windows) if several else None
        reduced = settings.pooling == "cls" and way.reduces_last_layer(model.config)
        return _Loaded(tokens, windows, way, forwards, work_of(model), reduced, device)

    def _read(self) -> tuple[Any, Any]:
        import torch
        from transformers import AutoModel, AutoTokenizer
        from transformers.utils import logging

        logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        directory = str(self.local_directory())
        try:
            tokenizer = AutoTokenizer.from_pretrained(directory, trust_remote_code=False)
            model = AutoModel.from_pretrained(
                directory, dtype=torch.float32, use_safetensors=True, trust_remote_code=False
            )
        except (OSError, ValueError) as error:
            raise ModelReferenceError(
                f"encoder {self.settings.model!r} cannot be loaded with safetensors weights: {error}"
            ) from error
        # Position embeddings end there; more tokens would fail inside the model with an index error.
        room = getattr(model.config, "max_position_embeddings", None)
        if room is not None and model.config.model_type in ("roberta", "xlm-roberta"):
            room -= model.config.pad_token_id + 1  # they count positions from there
        if room is not None and self.settings.max_tokens > room:
            raise ModelReferenceError(
                f"encoder {self.settings.model!r} takes at most {room} tokens; set encoder.max_tokens to {room} or less"
            )
        return model.eval(), tokenizer
