"""Scores of texts by a Hugging Face sequence-classification model: a fine-tuned one of ours, or one made elsewhere.

What belongs here: loading, running, and which number of the output is the score. What does not: training
(`fine_tune.py`), finding models (`resources/model_files.py`), batching (`text_batches.py`).
"""

import hashlib
import os
import shutil
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datashop_assets.classifier.recipes import SCORER_FILE, Reads, read_description, write_description
from datashop_assets.classifier.text_batches import run_batches, token_ids
from datashop_assets.durable import sha256_of
from datashop_assets.finished_settings import SequenceClassificationSettings
from datashop_assets.lineage import content_id

FORM = "fine_tuned"
# What of a model folder makes its scores; beside them may lie a report, a card, other formats of the weights.
MODEL_FILES = (
    *("*.safetensors", "*.safetensors.index.json", "config.json"),
    *("tokenizer*", "vocab*", "merges.txt", "special_tokens_map.json", "*.model"),
)
# Padded tokens a batch. Larger ones fall out of a CPU's last-level cache; a GPU's number is not measured.
BATCH_TOKENS = {"cpu": 4096, "cuda": 65_536}


def model_files(directory: Path) -> list[Path]:
    """The files of a model folder that make its scores, by name."""
    found = {file for pattern in MODEL_FILES for file in directory.glob(pattern)}
    return sorted(file for file in found if file.name != SCORER_FILE)


def files_digest(directory: Path) -> str:
    """Hexadecimal content of a model folder: equal files in another folder have the same."""
    return content_id([(file.name, sha256_of(file)) for file in model_files(directory)], length=64)


class TextModelError(ValueError):
    """A model that cannot be loaded, or whose output is no score as asked; the message says what to change."""


class SequenceClassifier:
    """A model folder as a scorer of texts. It loads at the first text, in evaluation mode, on a GPU where there is one.

    `settings` say how long a text may be and what the score is; its `model` and `revision` are not read, the folder
    is. `threads` of torch are set for the process; None takes the cores that it may use. Where memory does not
    suffice, batches are halved and stay so.
    """

    form: str = FORM
    reads: Reads = "texts"

    def __init__(self, directory: Path, settings: SequenceClassificationSettings, threads: int | None = None) -> None:
        self.directory = directory
        self.settings = settings
        self._threads = threads or len(os.sched_getaffinity(0))
        self._budget = settings.batch_tokens

    def predict(self, inputs: Sequence[str]) -> NDArray[np.float32]:
        """Scores of shape [texts], in order. Raises TextModelError."""
        import torch

        scores = np.empty(len(inputs), np.float32)
        if not len(inputs):
            return scores
        model, tokenizer = self._loaded
        pad = model.config.pad_token_id
        # A tokenizer without special tokens makes nothing of an empty text; a model needs one token.
        tokens = [ids or [pad] for ids in token_ids(tokenizer, inputs, self.settings.max_tokens)]

        def run(rows: list[int]) -> None:
            longest = max(len(tokens[row]) for row in rows)
            ids = torch.full((len(rows), longest), pad, dtype=torch.long)
            mask = torch.zeros((len(rows), longest), dtype=torch.long)
            for position, row in enumerate(rows):
                ids[position, : len(tokens[row])] = torch.tensor(tokens[row])
                mask[position, : len(tokens[row])] = 1
            with torch.inference_mode():
                logits = model(input_ids=ids.to(model.device), attention_mask=mask.to(model.device)).logits
                scores[rows] = self._score(logits.float()).cpu().numpy()

        budget = self._budget or BATCH_TOKENS[model.device.type]
        self._budget = run_batches([len(ids) for ids in tokens], budget, run, is_out_of_memory)
        return scores

    def save(self, directory: Path) -> None:
        """Copy the model's files there, and say in scorer.json how they are read."""
        directory.mkdir(parents=True, exist_ok=True)
        for file in model_files(self.directory):
            if directory.resolve() != self.directory.resolve():
                shutil.copyfile(file, directory / file.name)
        write_description(directory, FORM, settings=self.settings.model_dump(mode="json", include=_READ))

    @classmethod
    def load(cls, directory: Path) -> "SequenceClassifier":
        """What `save` wrote. Raises FileNotFoundError."""
        settings = read_description(directory)["settings"]
        return cls(directory, SequenceClassificationSettings.model_validate({**settings, "model": str(directory)}))

    def digest(self) -> str:
        """Of the model's files and of what the score is."""
        said = self.settings.model_dump(mode="json", include=_READ)
        return hashlib.sha256(f"{content_id(said)} {files_digest(self.directory)}".encode()).hexdigest()

    def _score(self, logits: Any) -> Any:
        import torch

        model, _ = self._loaded
        if self._output == "logit":
            return logits[:, 0]
        independent = logits.shape[1] == 1 or model.config.problem_type == "multi_label_classification"
        shares = torch.sigmoid(logits) if independent else torch.softmax(logits, dim=1)
        if self._output == "probability":
            return shares[:, self._label]
        return shares @ torch.tensor(self._values, device=shares.device)

    @cached_property
    def _labels(self) -> list[str]:
        model, _ = self._loaded
        return [str(model.config.id2label[number]) for number in range(model.config.num_labels)]

    @cached_property
    def _output(self) -> str:
        model, _ = self._loaded
        asked = self.settings.output or ("logit" if model.config.num_labels == 1 else None)
        if asked is None or (asked == "logit" and model.config.num_labels > 1):
            raise TextModelError(
                f"{self.directory} has the labels {self._labels}: set `output: probability` with one of them as "
                "`label`, or `output: expected_value`"
            )
        if asked == "expected_value" and model.config.problem_type == "multi_label_classification":
            raise TextModelError(f"{self.directory} has independent labels: set `output: probability` with a `label`")
        return asked

    @cached_property
    def _label(self) -> int:
        wanted = self.settings.label
        numbers = {str(number): number for number in range(len(self._labels))}
        found = {label: number for number, label in enumerate(self._labels)}.get(str(wanted), numbers.get(str(wanted)))
        if found is None:
            raise TextModelError(f"{self.directory} has no label {wanted!r}; its labels: {self._labels}")
        return found

    @cached_property
    def _values(self) -> list[float]:
        given = self.settings.label_values or {label: float(number) for number, label in enumerate(self._labels)}
        if set(given) != set(self._labels):
            raise TextModelError(f"`label_values` names {sorted(given)}; {self.directory} has {self._labels}")
        return [given[label] for label in self._labels]

    @cached_property
    def _loaded(self) -> tuple[Any, Any]:
        import torch
        from transformers import AutoModelForSequenceClassification, AutoTokenizer
        from transformers.utils import logging

        logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        torch.set_num_threads(self._threads)
        place, precision = str(self.directory), getattr(torch, self.settings.precision)
        try:
            tokenizer: Any = AutoTokenizer.from_pretrained(place, trust_remote_code=False)
            model: Any = AutoModelForSequenceClassification.from_pretrained(
                place, dtype=precision, use_safetensors=True, trust_remote_code=False
            )
        except (OSError, ValueError) as error:
            raise TextModelError(
                f"{place} cannot be loaded as a sequence-classification model with safetensors weights: {error}"
            ) from error
        room = min(getattr(model.config, "max_position_embeddings", None) or 2**31, tokenizer.model_max_length)
        if self.settings.max_tokens > room:
            raise TextModelError(f"{place} takes at most {room} tokens; set max_tokens to {room} or less")
        if model.config.pad_token_id is None:  # decoders look for the last token that is not padding
            known = (tokenizer.pad_token_id, tokenizer.eos_token_id, 0)
            model.config.pad_token_id = next(number for number in known if number is not None)
        return model.eval().to("cuda" if torch.cuda.is_available() else "cpu"), tokenizer


# What of the settings changes scores: equal files in another folder give the same ones, and batches of any size.
_READ = {"max_tokens", "output", "label", "label_values", "precision"}


def is_out_of_memory(error: Exception) -> bool:
    import torch

    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)
