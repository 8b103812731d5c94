"""Functions as a user writes them."""

import numpy as np
import polars as pl


def score_per_word(inputs: pl.DataFrame) -> pl.Series:
    return inputs["teaching"] / inputs["words"]


def capitals(inputs: pl.DataFrame) -> np.ndarray:
    return np.array([sum(letter.isupper() for letter in text) for text in inputs["text"]])


def too_few(inputs: pl.DataFrame) -> list[float]:
    return [1.0]


def refuses(inputs: pl.DataFrame) -> list[float]:
    raise KeyError("colour")


def words_of_text(inputs: pl.DataFrame) -> pl.Series:
    return inputs["text"].str.to_uppercase()


def odd_answers(inputs: pl.DataFrame) -> list[float | None]:
    return [1.0, None, float("nan"), float("inf")]
