"""Scores of texts by a supervised fastText model: one of ours, or one made elsewhere.

What belongs here: running the model, from its labels' probabilities to a score, storing it. What does not: training
(`fasttext.py`), finding models (`resources/model_files.py`).
"""

import hashlib
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datashop_assets.classifier.recipes import Reads, read_description, write_description
from datashop_assets.durable import sha256_of
from datashop_assets.lineage import content_id

FORM = "fasttext"
MODEL_FILE = "model.bin"
LABEL_PREFIX = "__label__"
# Texts that are handed to the library at once: their lines are copied, and each has a probability a label.
CALL_TEXTS = 256


class FastTextError(ValueError):
    """A file that is no fastText classifier, or labels that it does not have; the message names them."""


@dataclass(frozen=True, eq=False)
class FastTextScorer:
    """The sum of `values` under the labels' probabilities; a label without a value counts 0.

    `expected` divides by the probabilities' sum, which is 1 but for rounding where the loss is softmax. Of a text,
    `max_chars` characters are read (null: all). `neutralise` hides the label prefix in texts, as training does.
    """

    model: Any = field(repr=False)
    values: Mapping[str, float]
    expected: bool
    max_chars: int | None = None
    neutralise: bool = False
    form: str = FORM
    reads: Reads = "texts"

    def __post_init__(self) -> None:
        labels = set(self.model.labels)
        if unknown := sorted(set(self.values) - labels):
            raise FastTextError(f"the fastText model has no labels {unknown[:5]}; it has {sorted(labels)[:10]}")

    def predict(self, inputs: Sequence[str]) -> NDArray[np.float32]:
        """Scores of shape [texts], in order; NaN where the model knows nothing of a text's words."""
        scores = np.full(len(inputs), np.nan, np.float32)
        for start in range(0, len(inputs), CALL_TEXTS):
            lines = [one_line(text, self.max_chars, self.neutralise) for text in inputs[start : start + CALL_TEXTS]]
            for row, (labels, shares) in enumerate(zip(*self.model.predict(lines, k=-1), strict=True), start):
                if len(labels):
                    total = sum(float(p) for p in shares) if self.expected else 1.0
                    worth = sum(self.values.get(label, 0.0) * float(p) for label, p in zip(labels, shares, strict=True))
                    scores[row] = worth / total
        return scores

    def save(self, directory: Path) -> None:
        """Write `model.bin`, which `fasttext.load_model` reads, and scorer.json."""
        directory.mkdir(parents=True, exist_ok=True)
        self.model.save_model(str(directory / MODEL_FILE))
        write_description(directory, FORM, **self._said())

    @classmethod
    def load(cls, directory: Path) -> "FastTextScorer":
        """What `save` wrote. Raises FileNotFoundError."""
        said = read_description(directory)
        return cls(
            load_model(directory / MODEL_FILE), said["values"], said["expected"], said["max_chars"], said["neutralise"]
        )

    def digest(self) -> str:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / MODEL_FILE
            self.model.save_model(str(file))
            return hashlib.sha256(f"{sha256_of(file)} {content_id(self._said())}".encode()).hexdigest()

    def _said(self) -> dict[str, Any]:
        return {
            "values": dict(self.values),
            "expected": self.expected,
            "max_chars": self.max_chars,
            "neutralise": self.neutralise,
        }


def one_line(text: str, max_chars: int | None, neutralise: bool) -> str:
    """A text as the library reads it: a line. A word that starts like a label would be one, and be left out."""
    line = text[:max_chars].replace("\n", " ")
    return line.replace(LABEL_PREFIX, "__ label__") if neutralise else line


def load_model(file: Path) -> Any:
    """The fastText model in a file. Raises FileNotFoundError or FastTextError."""
    import fasttext

    if not file.is_file():
        raise FileNotFoundError(f"there is no fastText model {file}")
    try:
        model = fasttext.load_model(str(file))
    except ValueError as error:
        raise FastTextError(f"{file} is no fastText model: {error}") from error
    if model.f.getArgs().model.name != "supervised":
        raise FastTextError(f"{file} holds word vectors and no classifier; train one with `train_supervised`")
    return model
