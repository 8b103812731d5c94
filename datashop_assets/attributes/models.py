"""Measures by models that were trained elsewhere: language identification, sequence classification, fastText.

What belongs here: from a model's settings to a measure of texts. What does not: loading and running the models
(`scoring/finished.py`, `classifier/fasttext_scorer.py`).
"""

from typing import Any

import polars as pl

from datashop_assets.attribute_settings import LanguageAttribute
from datashop_assets.attributes.text_measures import Measure

LABEL = "__label__"


def language(settings: LanguageAttribute, model: Any) -> Measure:
    """The probability of `settings.language`, or of the likeliest one, and as `label` the likeliest one's code.

    `model` is a fastText model with labels `__label__<code>`, such as lid.176 (Joulin et al. 2016; its softmax is over
    all its languages). It reads the text as one line. Raises ValueError where it does not know the language.
    """
    known = {label.removeprefix(LABEL) for label in model.get_labels()}
    asked = settings.language
    if asked is not None and asked not in known:
        raise ValueError(f"the model {settings.model} does not know language {asked!r}; it knows {sorted(known)}")

    def found(text: str) -> tuple[float | None, str | None]:
        # All labels are computed anyway; those of no probability at all are left out of the answer.
        labels, probabilities = model.predict(" ".join(text.split()), k=1 if asked is None else -1)
        if not labels:
            return None, None
        by_label = dict(zip(labels, probabilities, strict=True))
        best = max(by_label, key=lambda label: float(by_label[label]))
        return float(by_label[best] if asked is None else by_label.get(LABEL + asked, 0.0)), best.removeprefix(LABEL)

    def measure(rows: pl.DataFrame) -> pl.DataFrame:
        return pl.DataFrame(
            [found(text) for text in rows["text"]], {"score": pl.Float64, "label": pl.String}, orient="row"
        )

    return measure
