"""Recipes: how a classifier is trained, and what a trained one can do, behind one protocol each.

What belongs here: the protocols, and how a stored scorer describes itself. What does not: any recipe (a module each
beside this one), which of them a name stands for (`known_recipes.py`), their settings (`classifier_settings.py`).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from datashop_assets.rating.lens import Lens

# What a recipe learns from and a scorer reads: stored vectors of the project's encoder, or the documents' texts.
Reads = Literal["vectors", "texts"]
# In place of an encoder's id in the record of a classifier that reads texts: it needs no stored vectors.
TEXT_ENCODER = "text"
SCORER_FILE = "scorer.json"
# Float32 vectors of shape [rows, dimension], or texts.
Inputs = NDArray[np.float32] | Sequence[str]


@dataclass(frozen=True, eq=False)
class Examples:
    """What a recipe learns from, row by row.

    `targets` are real-valued, on the lens's scale;
    `weights` are 1 where nothing is known. `rated` are the scores as the rater gave them, on which choices are made:
    they differ from the targets where labels were corrected.
    """

    inputs: Inputs
    targets: NDArray[np.float64]
    weights: NDArray[np.float64]
    rated: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.targets)


def chosen_rows(inputs: Inputs, rows: NDArray[np.int64]) -> Inputs:
    """The inputs at these positions, which may repeat."""
    return inputs[rows] if isinstance(inputs, np.ndarray) else [inputs[row] for row in rows]


class Scorer(Protocol):
    """A trained model: inputs to scores."""

    @property
    def form(self) -> str:
        """How it is stored: linear, pooler, ordinal, softmax, multi_lens, fine_tuned, fasttext."""

    @property
    def reads(self) -> Reads: ...

    def predict(self, inputs: Any) -> NDArray[np.float32]:
        """Scores of shape [rows], real-valued and not clipped; `inputs` are as in Examples."""

    def save(self, directory: Path) -> None:
        """Write scorer.json, with `form` in it, and the files that `load_scorer` needs."""

    def digest(self) -> str:
        """Hexadecimal content of its values: equal scorers have equal digests."""


@dataclass(frozen=True)
class Step:
    """One measurement on the way: after an epoch (`name` epoch, `value` its number), or of a setting that was tried.

    `train_loss` is the recipe's own loss, null where it is not known; `validation_mae` is on rated scores.
    """

    name: str
    value: float
    train_loss: float | None
    validation_mae: float


@dataclass(frozen=True, eq=False)
class Fit:
    """A trained scorer, what was `chosen` on validation rows, the measurements that chose it (`log`), and what a person
    should know of the training (`notes`)."""

    scorer: Scorer
    chosen: Mapping[str, float | str] = field(default_factory=dict)
    log: tuple[Step, ...] = ()
    notes: tuple[str, ...] = ()


class Recipe(Protocol):
    """A way of training. Equal examples and seeds give equal scorers on the same machine."""

    @property
    def reads(self) -> Reads: ...

    def fit(self, train: Examples, validation: Examples, lens: Lens, seed: int) -> Fit:
        """Train on `train`, choose on `validation`; rows that a classifier is measured on are in neither."""


def write_description(directory: Path, form: str, **values: Any) -> None:
    """Write scorer.json: the form, and what else is needed to read the files beside it."""
    content = json.dumps({"form": form, **values}, indent=1)
    (directory / SCORER_FILE).write_text(content, encoding="utf-8")


def read_description(directory: Path) -> dict[str, Any]:
    """What scorer.json says. Raises FileNotFoundError."""
    content: dict[str, Any] = json.loads((directory / SCORER_FILE).read_text(encoding="utf-8"))
    return content
