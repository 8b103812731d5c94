"""Random choices that follow from the text and a seed alone: the noise that makes a ranking a draw.

What belongs here: the noise. What does not: bounds on scores with and without it (`cutoff.py`).

The k largest of score / temperature + Gumbel noise are a draw of k documents without replacement, one after another,
each in proportion to exp(score / temperature) (Kool et al. 2019, "Stochastic beams and where to find them",
arXiv:1903.06059). Here all is multiplied by the temperature, which changes no order and leaves the key on
the scale of the score. A document's noise depends on nothing but its own text, so that new shards change no old draw.
"""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from datashop_assets.filter_settings import Draw

# SplitMix64 (Steele et al. 2014, "Fast splittable pseudorandom number generators").
GOLDEN = np.uint64(0x9E3779B97F4A7C15)
MIX = ((30, np.uint64(0xBF58476D1CE4E5B9)), (27, np.uint64(0x94D049BB133111EB)))


def uniform(text_sha: pl.Series, seed: int) -> NDArray[np.float64]:
    """A number in (0, 1) for each text: equal texts have equal ones, under another seed others.

    `text_sha` are hex digits of SHA-256, at least 16 of each; the first 16 are mixed with the seed.
    """
    first = text_sha.str.slice(0, 16).str.decode("hex").bin.reinterpret(dtype=pl.UInt64, endianness="big")
    with np.errstate(over="ignore"):  # arithmetic modulo 2^64 is meant
        bits = first.to_numpy() + GOLDEN * np.uint64((2 * seed + 1) % 2**64)
        for shift, factor in MIX:
            bits = (bits ^ (bits >> np.uint64(shift))) * factor
        bits ^= bits >> np.uint64(31)
    return ((bits >> np.uint64(11)).astype(np.float64) + 0.5) / 2**53


def drawing_keys(scores: NDArray[np.float32], text_sha: pl.Series, draw: Draw) -> NDArray[np.float32]:
    """Score plus Gumbel noise at the draw's temperature, of shape [documents]: the largest ones are drawn."""
    noise = -np.log(-np.log(uniform(text_sha, draw.seed)))
    return (scores + draw.temperature * noise).astype(np.float32)
