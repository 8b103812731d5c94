"""The recipe `fasttext`: a bag of words and word n-grams, for filters that are cheap on CPUs.

What belongs here: from rated texts to a trained fastText model. What does not: running it (`fasttext_scorer.py`).

Method: Joulin et al., Bag of Tricks for Efficient Text Classification (2016), as the fastText library does it.
"""

import tempfile
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datashop_assets.classifier.fasttext_scorer import LABEL_PREFIX, FastTextScorer, one_line
from datashop_assets.classifier.head import int_scores
from datashop_assets.classifier.recipes import Examples, Fit, Reads, Step
from datashop_assets.rating.lens import Lens
from datashop_assets.text_model_settings import FastTextSettings

# Weights are followed by repeating lines, as the library knows none: at most so many lines a row on average.
MOST_REPEATS = 4


@dataclass(frozen=True)
class FastTextRecipe:
    """Classes are the targets rounded to the lens's scale; the score is the expected class.

    Trained by one thread: with several, equal inputs give other models.
    """

    settings: FastTextSettings
    reads: Reads = "texts"

    def fit(self, train: Examples, validation: Examples, lens: Lens, seed: int) -> Fit:
        """Choose epochs and learning rate by the validation MAE, then train on all rows.

        The model that is kept was trained on training and validation rows together, `log` was measured before.
        """
        log = []
        kept_back = [str(text) for text in validation.inputs]
        for epochs, rate in product(self.settings.epochs, self.settings.learning_rates):
            tried = _trained(train, lens, self.settings, epochs, rate, seed)
            error = float(np.abs(tried.predict(kept_back) - validation.rated).mean())
            log.append((error, epochs, rate))
        error, epochs, rate = min(log)
        both = Examples(
            inputs=[*train.inputs, *validation.inputs],
            targets=np.concatenate([train.targets, validation.targets]),
            weights=np.concatenate([train.weights, validation.weights]),
            rated=np.concatenate([train.rated, validation.rated]),
        )
        scorer = _trained(both, lens, self.settings, epochs, rate, seed)
        steps = tuple(Step(f"{e} epochs, learning rate {r:g}", e, None, mae) for mae, e, r in log)
        return Fit(scorer, {"epochs": epochs, "learning rate": rate, "validation_mae": error}, steps)


def _trained(
    examples: Examples, lens: Lens, settings: FastTextSettings, epochs: int, rate: float, seed: int
) -> FastTextScorer:
    import fasttext

    labels = int_scores(examples.targets, lens)
    order = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(labels)), repeats(examples.weights)))
    shortest, longest = settings.character_ngrams or (0, 0)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "train.txt"
        with file.open("w", encoding="utf-8", newline="\n") as lines:
            for row in order:
                text = one_line(examples.inputs[row], settings.max_chars, neutralise=True)
                lines.write(f"{LABEL_PREFIX}{labels[row]} {text}\n")
        model: Any = fasttext.train_supervised(
            str(file),
            thread=1,
            seed=seed,
            verbose=0,
            loss="softmax",
            epoch=epochs,
            lr=rate,
            dim=settings.dimension,
            wordNgrams=settings.word_ngrams,
            minCount=settings.min_count,
            bucket=settings.buckets,
            minn=shortest,
            maxn=longest,
        )
    values = {label: float(label.removeprefix(LABEL_PREFIX)) for label in sorted(model.labels)}
    return FastTextScorer(model, values, expected=True, max_chars=settings.max_chars, neutralise=True)


def repeats(weights: NDArray[np.float64]) -> NDArray[np.int64]:
    """How many lines each row becomes: in proportion to its weight, 1 where all are equal, 0 where it is 0.

    The smallest weight above 0 is one line, unless that would make more than MOST_REPEATS lines a row: then the
    running total is rounded, so that rows of a small weight share a line between them.
    """
    scale = min(1 / weights[weights > 0].min(), MOST_REPEATS * len(weights) / weights.sum())
    return np.diff(np.floor(np.cumsum(weights * scale) + 0.5), prepend=0).astype(np.int64)
