"""The embedded rater: a small language model in this process, used as an exemplar contrast.

What belongs here: log-likelihoods of documents after exemplar texts. What does not: the mathematics that turn them into
scores (`datashop_assets/rating/contrast.py`), the exemplars (the lens folder).

A model of 135 million parameters cannot answer a rubric, but it can tell what a text resembles. docs/raters.md says
what its ratings are worth.
"""

import hashlib
import json
import re
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datashop_assets.project import RaterSettings
from datashop_assets.rating.contrast import Agreement, Calibration, agreement, calibrate, contexts, contrast
from datashop_assets.rating.judgement import Document, Judgement
from datashop_assets.rating.lens import Lens, LensError
from resources.language_models import content_id, load_causal_lm, torch_threads

# Raised by hand when the same model, lens and settings would give other scores.
RECIPE = 1
SETS = 2
EXEMPLAR_TOKENS = 110
BATCH = 4
SEPARATOR = "\n\n-----\n\n"


@dataclass(frozen=True)
class Prefix:
    """A context computed once: keys and values of each layer for all its tokens but `last`, the last one."""

    layers: tuple[tuple[Any, Any], ...]
    last: int


@dataclass(frozen=True)
class Prepared:
    """What rating through one lens needs, made once a lens version."""

    good: tuple[Prefix, ...]
    bad: tuple[Prefix, ...]
    calibration: Calibration


class ExemplarContrastRater:
    """Behind `seams.Rater`. The model is loaded at the first rating; not for use by several threads at once.

    `settings.threads` is torch's number of threads while a batch is judged; before and after it is what it was.
    Documents are judged by their first `document_tokens` tokens. A document without any text gets the reason
    `empty_document`, one with less than the lens judges `too_short`; no judgement fails. Scores are continuous on the
    lens's scale.
    """

    def __init__(self, settings: RaterSettings, cache: Path) -> None:
        self.settings = settings
        self.cache = cache
        self._prepared: dict[str, Prepared] = {}

    @cached_property
    def id(self) -> str:
        """Content id of the model's files and of what decides a score; the number of threads does not."""
        model = self.settings.model
        content = [RECIPE, content_id(model), self.settings.document_tokens, SETS, EXEMPLAR_TOKENS, SEPARATOR]
        digest = hashlib.sha256(json.dumps(content).encode()).hexdigest()[:8]
        name = re.sub(r"[^A-Za-z0-9.-]+", "_", Path(model).name.removesuffix(".gguf"))
        return f"exemplar_contrast-{name}-{digest}"

    def rate(self, lens: Lens, documents: Iterable[Document]) -> Iterator[Judgement]:
        """Judge the documents in batches. Raises LensError where the lens's exemplars do not serve this model."""
        waiting = iter(documents)
        while batch := list(islice(waiting, BATCH)):
            views = [lens.view(document.text) for document in batch]
            skipped = [_skipped(lens, document.text, view) for document, view in zip(batch, views, strict=True)]
            written = [view for view, reason in zip(views, skipped, strict=True) if reason is None]
            begun = time.perf_counter()
            judged: Iterator[tuple[float, int]] = iter(self._judge(lens, written) if written else [])
            seconds = (time.perf_counter() - begun) / max(len(written), 1)
            for reason in skipped:
                if reason is not None:
                    yield Judgement(None, reason)
                    continue
                value, tokens = next(judged)
                score = float(self._prepared[lens.version].calibration.scores(value))
                yield Judgement(score, raw=f"contrast {value:.4f}", input_tokens=tokens, seconds=seconds)

    def calibration_report(self, lens: Lens) -> Agreement:
        """How the rater orders the lens's `check` exemplars, which it has not seen. Raises LensError without any."""
        known = lens.used_for("check")
        if len({e.score for e in known}) < 2:
            raise LensError(f"lens {lens.name!r} needs check exemplars of at least two scores to report on a rater")
        judgements = self.rate(lens, [Document(e.text) for e in known])
        return agreement([j.score for j in judgements if j.score is not None], [e.score for e in known])

    def _judge(self, lens: Lens, views: Sequence[str]) -> list[tuple[float, int]]:
        """Contrast and tokens read (the document's, once a context) of each text."""
        with torch_threads(self.settings.threads):
            prepared = self._prepared.get(lens.version) or self._prepare(lens)
            self._prepared[lens.version] = prepared
            return self._contrasts(prepared.good, prepared.bad, views)

    def _prepare(self, lens: Lens) -> Prepared:
        wanted = contexts(lens, SETS)
        good = tuple(self._prefix(texts) for texts in wanted.good)
        bad = tuple(self._prefix(texts) for texts in wanted.bad)
        examples = [lens.view(e.text) for e in lens.used_for("calibrate")]
        measured: list[float] = []
        for start in range(0, len(examples), BATCH):
            measured += [value for value, _ in self._contrasts(good, bad, examples[start : start + BATCH])]
        return Prepared(good, bad, calibrate(measured, lens))

    def _contrasts(
        self, good: Sequence[Prefix], bad: Sequence[Prefix], views: Sequence[str]
    ) -> list[tuple[float, int]]:
        _, tokenizer = self._model
        documents = [self._tokens(tokenizer, view, self.settings.document_tokens) for view in views]
        liked = np.stack([self._log_likelihoods(prefix, documents) for prefix in good])
        disliked = np.stack([self._log_likelihoods(prefix, documents) for prefix in bad])
        lengths = [len(document) for document in documents]
        reads = len(good) + len(bad)
        return [(contrast(liked[:, n], disliked[:, n], length), length * reads) for n, length in enumerate(lengths)]

    @cached_property
    def _model(self) -> tuple[Any, Any]:
        return load_causal_lm(self.settings.model, self.cache)

    @staticmethod
    def _tokens(tokenizer: Any, text: str, most: int) -> list[int]:
        tokens: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
        return tokens[:most]

    def _prefix(self, texts: Sequence[str]) -> Prefix:
        import torch

        model, tokenizer = self._model
        separator = self._tokens(tokenizer, SEPARATOR, 100)
        tokens = [token for text in texts for token in self._tokens(tokenizer, text, EXEMPLAR_TOKENS) + separator]
        with torch.inference_mode():
            cache = model(input_ids=torch.tensor([tokens[:-1]]), use_cache=True, logits_to_keep=1).past_key_values
        return Prefix(tuple((layer.keys, layer.values) for layer in cache.layers), tokens[-1])

    def _log_likelihoods(self, prefix: Prefix, documents: Sequence[Sequence[int]]) -> NDArray[np.float64]:
        """Summed log-likelihood in nats of each document after the prefix: float64 of shape [documents].

        Documents are padded on the right: attention looks back only, so padding changes no real token's prediction.
        """
        import torch
        from transformers import DynamicCache

        model, _ = self._model
        longest = max(len(document) for document in documents)
        targets = torch.zeros((len(documents), longest), dtype=torch.long)
        real = torch.zeros((len(documents), longest), dtype=torch.bool)
        for row, document in enumerate(documents):
            targets[row, : len(document)] = torch.tensor(document)
            real[row, : len(document)] = True
        first = torch.full((len(documents), 1), prefix.last)
        cache = DynamicCache()
        for number, (keys, values) in enumerate(prefix.layers):
            cache.update(keys.expand(len(documents), -1, -1, -1), values.expand(len(documents), -1, -1, -1), number)
        with torch.inference_mode():
            inputs = torch.cat([first, targets[:, :-1]], dim=1)
            logits = model(input_ids=inputs, past_key_values=cache, use_cache=True).logits
            chosen = logits.gather(2, targets.unsqueeze(2)).squeeze(2) - logits.logsumexp(dim=2)
            summed: NDArray[np.float64] = (chosen * real).sum(dim=1).double().numpy()
        return summed


def _skipped(lens: Lens, text: str, view: str) -> str | None:
    """Why there is nothing to judge; None where there is something."""
    if lens.is_too_short(text):
        return "too_short"
    return None if view.strip() else "empty_document"
