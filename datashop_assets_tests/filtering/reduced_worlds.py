"""Worlds whose encoder has a reduced precision, and the scores of float32 beside it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl
from numpy.typing import NDArray

from datashop_assets.classifier.known_recipes import load_scorer
from datashop_assets.classifier.registry import require_promoted
from datashop_assets.embedding.embed import STORED
from datashop_assets.records import DOCUMENTS
from datashop_assets.seams import Encoder
from datashop_assets_tests.worlds import ExportableEncoder, World
from resources.encoders import ScriptedEncoder
from resources.model_store import open_model_store


@dataclass(frozen=True)
class Coarse(ExportableEncoder):
    """A reduced precision: every vector is off by a little that depends on its text."""

    @property
    def id(self) -> str:
        return f"coarse-{self.dimension}"

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        exact = super().encode(texts)
        noise = [np.random.default_rng(list(text.encode())).normal(0, 0.01, self.dimension) for text in texts]
        return (exact + np.reshape(noise, exact.shape)).astype(np.float32)


@dataclass(frozen=True)
class Watched(ScriptedEncoder):
    """Notes the texts that it reads."""

    read: list[str] = field(default_factory=list)

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.read.extend(texts)
        return super().encode(texts)


def filter_all(world: World) -> None:
    world.run("parse_and_embed_shards")
    for job in ("rate_documents", "train_and_promote_classifier", "score_documents", "set_cutoff", "filter_documents"):
        world.run(job, "teaching")


def exact_scores(world: World, encoder: Encoder | None = None, lens: str = "teaching") -> pl.DataFrame:
    """Every document's score [id, exact] from its float32 vector."""
    models = open_model_store(world.profile.models, world.profile.cache, world.profile.storage_options)
    head = load_scorer(models.fetch(require_promoted(world.lake, lens).uri))
    documents = world.read(DOCUMENTS).select("id", "text")
    vectors = (encoder or ScriptedEncoder()).encode(documents["text"].to_list()).astype(STORED).astype(np.float32)
    return documents.select("id", pl.Series("exact", head.predict(vectors)))
