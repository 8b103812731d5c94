"""MinHash signatures of texts, the keys by which like ones are found, and the similarity that two signatures show.

What belongs here: from texts to signatures and keys, and from two signatures to a similarity. What does not: which
documents are compared (`near.py`), what a word is (`words.py`).

The signatures are made by rensa (Rust, MIT, half a megabyte, no dependencies) as in "Fast Similarity Sketching"
(Dahlgaard, Knudsen and Thorup 2017, arXiv:1704.04370): at each place two of them agree with the probability of their
sets' Jaccard similarity. datasketch is as well kept and does it in numpy at 50 times the cost (1,600 documents of 1.2
kB: 219 microseconds each, and 4); datatrove and text-dedup have it as steps of pipelines over files of their own, the
latter with Spark. What costs is cutting the texts into n-grams: some 80 microseconds.
"""

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from datashop_assets.deduplication.tables import MINHASHES
from datashop_assets.deduplication.words import ngrams, words_of
from datashop_assets.deduplication_settings import NearDuplicateSettings

SEED = 1
# Texts whose n-grams are in memory at once; 512 texts of 10,000 words take some 500 MB as Python strings.
CHUNK_TEXTS = 512
# Odd numbers that spread a value's bits over the whole word (Knuth's multiplicative hashing, TAOCP 3, section 6.4).
_SPREAD_32 = np.uint32(0x9E3779B1)
_SPREAD_64 = np.uint64(0x9E3779B97F4A7C15)

SIGNATURE_TYPE = np.dtype("<u2")
SCHEMA = pl.Schema({name: MINHASHES.schema[name] for name in ("signature", "keys")})


def algorithm() -> str:
    """What has to be equal for two signatures to be comparable, beside their settings."""
    from rensa import RMinHash

    return f"rensa-{RMinHash.ALGORITHM_VERSION}-{SEED}"


def minhashes(texts: Sequence[str], settings: NearDuplicateSettings) -> pl.DataFrame:
    """A row [signature, keys] for each text, in order; null for a text without words.

    A signature has `bands x rows` values; of each only the upper 16 bits are kept, after mixing: two different values
    are taken for equal once in 65,536. The key of a band is a 64-bit hash of all its values.
    """
    parts = [_minhashes(texts[at : at + CHUNK_TEXTS], settings) for at in range(0, len(texts), CHUNK_TEXTS)]
    return pl.concat(parts) if parts else pl.DataFrame(schema=SCHEMA)


def _minhashes(texts: Sequence[str], settings: NearDuplicateSettings) -> pl.DataFrame:
    from rensa import RMinHash

    grams = [ngrams(words_of(text), settings.words) for text in texts]
    matrix = RMinHash.digest_matrix_from_token_sets(grams, settings.bands * settings.rows, SEED)
    values = np.array(matrix.to_rows(), dtype=np.uint32)
    short = ((values * _SPREAD_32) >> np.uint32(16)).astype(SIGNATURE_TYPE)
    keys = band_keys(values, settings.bands)
    return pl.DataFrame(
        {
            "signature": [row.tobytes() if words else None for row, words in zip(short, grams, strict=True)],
            "keys": [row if words else None for row, words in zip(keys.tolist(), grams, strict=True)],
        },
        schema=SCHEMA,
    )


def band_keys(values: NDArray[np.uint32], bands: int) -> NDArray[np.int64]:
    """A hash of each band's values and of its number: int64 of shape [texts, bands]."""
    by_band = values.reshape(len(values), bands, -1).astype(np.uint64)
    key = np.broadcast_to(np.arange(1, bands + 1, dtype=np.uint64), by_band.shape[:2]).copy()
    for place in range(by_band.shape[2]):
        key = (key ^ by_band[:, :, place]) * _SPREAD_64
        key ^= key >> np.uint64(29)
    return key.view(np.int64)


def similarities(left: pl.Series, right: pl.Series) -> NDArray[np.float32]:
    """The Jaccard similarity that each pair of signatures shows: the share of equal values, float32 of shape [pairs].

    Its standard error is sqrt(J (1 - J) / n) with n values: 0.04 at J = 0.75 with 112.
    """
    equal = _values(left) == _values(right)
    return equal.mean(axis=1, dtype=np.float32) if len(equal) else np.zeros(0, dtype=np.float32)


def _values(signatures: pl.Series) -> NDArray[np.uint16]:
    joined = np.frombuffer(b"".join(signatures.to_list()), dtype=SIGNATURE_TYPE)
    return joined.reshape(len(signatures), -1) if len(signatures) else joined.reshape(0, 0)
