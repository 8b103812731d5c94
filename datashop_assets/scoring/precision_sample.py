"""How far a reduced precision moves scores, on the corpus's own documents: a sample encoded both ways, kept.

What belongs here: drawing and keeping the sample of an encoder, the error bound of a classifier over it. What does not:
the bound's arithmetic (`exact_band.py`), scoring documents again (`exact_scores.py`).

Vectors are kept, not errors: a new classifier or lens has its bound from a product over them, and nothing is encoded.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import numpy as np
import polars as pl

from datashop_assets.classifier.recipes import Scorer
from datashop_assets.embedding.embed import pack, unpack
from datashop_assets.embedding.inputs import MissingUpstreamError, texts_of
from datashop_assets.encoder_settings import EncoderSettings
from datashop_assets.lineage import content_id
from datashop_assets.records import EMBEDDINGS
from datashop_assets.scoring.exact_band import ErrorBound, error_bound
from datashop_assets.scoring.tables import PRECISION_SAMPLES, REDUCED_ENCODERS
from datashop_assets.seams import Encoder, Lake

RECIPE = 1
# 15 s of one processor for all-MiniLM-L6-v2. With 95 % confidence at most 0.75 % of documents like those of the sampled
# shards are beyond the largest error of 400, and the bound is 1.5 times that error.
DOCUMENTS = 400
# Shards that the sample is drawn from at most: of each one the stored vectors are read.
SHARDS = 16


def reduced_encoder(lake: Lake, settings: EncoderSettings) -> str | None:
    """The encoder that the settings stand for, as a run recorded it; None where none did yet."""
    rows = lake.scan(REDUCED_ENCODERS).filter(pl.col("settings") == settings.version).sort("recorded_at").collect()
    return None if rows.is_empty() else str(rows["encoder"][-1])


def record_reduced_encoder(lake: Lake, settings: EncoderSettings, encoder: str, lineage: Mapping[str, Any]) -> None:
    """Note which encoder the settings stand for, where that is not known: an id follows from the model's files, which
    those that ask for versions do not open."""
    if reduced_encoder(lake, settings) != encoder:
        row = {"settings": settings.version, "encoder": encoder, "recorded_at": datetime.now(UTC)}
        lake.commit(REDUCED_ENCODERS, pl.DataFrame([row], schema=REDUCED_ENCODERS.schema), None, lineage)


def sample_version(lake: Lake, encoder: str) -> str | None:
    """The version of the encoder's sample; None where there is none yet. No rows are read."""
    made = lake.cells(PRECISION_SAMPLES).filter(pl.col("encoder") == encoder)
    return None if made.is_empty() else str(made["version"].item())


def ensure_sample(lake: Lake, encoder: str, exact: Encoder, lineage: Mapping[str, Any]) -> None:
    """Draw and encode the sample of an encoder, where there is none or the corpus has grown beyond a small one: it has
    fewer documents than it could, or tells of fewer shards than a new one would and the corpus has twice as many.

    `exact` is the same encoder in float32. Documents are drawn from shards that have vectors, by the encoder's id
    alone, so that two runs draw the same. Raises MissingUpstreamError where nothing has a vector.
    """
    samples = lake.cells(PRECISION_SAMPLES).filter(pl.col("encoder") == encoder)
    drawn = _drawn(lake.cells(EMBEDDINGS.of(encoder)), encoder)
    if not drawn:
        raise MissingUpstreamError("materialize `embeddings` first: what a precision costs is measured on documents")
    enough = int(samples["rows"].sum()) >= sum(count for _, count in drawn)
    if enough and not _tells_of_too_few(lake, encoder, len(drawn)):
        return
    rows = pl.concat([_both_ways(lake, encoder, shard, count, exact) for shard, count in drawn])
    version = content_id("precision sample", RECIPE, exact.id, rows["shard"].to_list(), rows["id"].to_list())
    made = rows.select(pl.lit(encoder).alias("encoder"), *rows.columns, pl.lit(version).alias("version"))
    lake.commit(PRECISION_SAMPLES, made, [{"encoder": encoder, "version": version}], lineage)


def bound_of(lake: Lake, encoder: str, head: Scorer) -> ErrorBound:
    """How far the encoder's reduced precision moves this classifier's scores at most, over its sample."""
    rows = lake.scan(PRECISION_SAMPLES, {"encoder": [encoder]}).select("reduced", "exact").collect()
    return error_bound(head.predict(unpack(rows["exact"])), head.predict(unpack(rows["reduced"])))


def _tells_of_too_few(lake: Lake, encoder: str, drawn: int) -> bool:
    """Whether a sample of so many shards has to replace the one that is there. A sample of fewer than SHARDS is of all
    that the corpus had then. Each has more shards than the one before, so that there are few: five at 1, 2, 4, 8, 16.
    """
    covered = lake.scan(PRECISION_SAMPLES, {"encoder": [encoder]}).select(pl.col("shard").n_unique()).collect().item()
    shards = lake.cells(EMBEDDINGS.of(encoder)).filter(pl.col("rows") > 0).height
    return bool(covered < drawn and shards >= 2 * covered)


def _drawn(vectors: pl.DataFrame, encoder: str) -> list[tuple[str, int]]:
    """Shards, and how many documents are taken of each: as documents drawn from all shards fall, of SHARDS at most."""
    draw, sizes = _dice(encoder), vectors.filter(pl.col("rows") > 0).sort("shard")
    if sizes.is_empty():
        return []
    shares = sizes["rows"].to_numpy() / sizes["rows"].sum()
    sizes = sizes[np.sort(draw.choice(len(shares), min(SHARDS, len(shares)), replace=False, p=shares))]
    rows = sizes["rows"].to_numpy()
    counts = draw.multivariate_hypergeometric(rows, min(DOCUMENTS, rows.sum()))
    return [(shard, int(count)) for shard, count in zip(sizes["shard"], counts, strict=True) if count]


def _both_ways(lake: Lake, encoder: str, shard: str, count: int, exact: Encoder) -> pl.DataFrame:
    """So many documents of a shard, drawn at random: shard, id, reduced, exact."""
    stored = lake.scan(EMBEDDINGS.of(encoder), {"shard": [shard]})
    ids = stored.select("id").collect()["id"].sort()
    some = ids[np.sort(_dice(encoder, shard).choice(len(ids), count, replace=False))]
    reduced = stored.filter(pl.col("id").is_in(some.implode())).select("id", reduced="embedding").collect()
    texts = pl.concat([pl.DataFrame(schema={"id": pl.String, "text": pl.String}), *texts_of(lake, shard, some)])
    made = pl.Series("exact", pack(exact.encode(texts["text"].to_list())), pl.Binary)
    both = texts.select(pl.lit(shard).alias("shard"), "id", made).join(reduced, on="id", maintain_order="left")
    return both.select("shard", "id", "reduced", "exact")


def _dice(*of: str) -> np.random.Generator:
    return np.random.default_rng(int(content_id("precision sample", *of), 16))
