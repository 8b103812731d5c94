"""Which documents of a shard are rated: the same ones for ever, and more of them when more are asked for.

What belongs here: choosing documents. What does not: rating them (`annotate.py`).
"""

import hashlib

import polars as pl


def sample(documents: pl.DataFrame, size: int, seed: int) -> pl.DataFrame:
    """The `size` documents whose texts have the smallest hash under this seed, smallest first.

    A text that stands in the shard more than once is taken once (the smallest id), since its rating would be paid
    for twice and teach nothing new. SHA-256 keeps the choice the same over machines and library versions, and a
    sample is the beginning of every larger sample with its seed, so a larger one only adds ratings.

    `documents` has at least `id` and `text_sha`; all its columns are kept. Raises ValueError for a negative size.
    """
    if size < 0:
        raise ValueError(f"the sample size is {size}; it must be 0 or more")
    texts = documents["text_sha"].unique().to_list()
    hashes = pl.DataFrame(
        {"text_sha": texts, "hash": [hashlib.sha256(f"sample:{seed}:{text}".encode()).digest() for text in texts]},
        schema={"text_sha": pl.String, "hash": pl.Binary},
    )
    chosen = hashes.sort("hash").head(size)
    return (
        documents.sort("id")
        .unique("text_sha", keep="first", maintain_order=True)
        .join(chosen, on="text_sha")
        .sort("hash")
        .drop("hash")
    )
