"""Runs of `embeddings`: once a document and encoder."""

from dataclasses import replace

import dagster as dg
import pytest

from datashop_assets.embedding.embed import unpack
from datashop_assets.records import DOCUMENTS, EMBEDDINGS
from datashop_assets_tests.worlds import World, failure_of


def test_every_document_has_its_vector_and_another_encoder_a_table_of_its_own(world: World) -> None:
    world.land_shards(2, documents=5)
    result = world.run("parse_and_embed_shards")
    first = EMBEDDINGS.of(world.encoder.id)
    rows, documents = world.read(first), world.read(DOCUMENTS)
    assert rows.select("shard", "id").sort("shard", "id").equals(documents.select("shard", "id").sort("shard", "id"))
    text = documents.filter(id=rows["id"][0])["text"]
    assert unpack(rows["embedding"])[0] == pytest.approx(world.encoder.encode(text)[0], abs=1e-3)
    assert all(e.passed for e in result.get_asset_check_evaluations())
    before = world.lake.version(first)
    world.encoder = replace(world.encoder, dimension=16)
    world.reload()
    world.run("parse_and_embed_shards")
    assert world.read(EMBEDDINGS.of("scripted-16")).height == 10
    assert world.lake.version(first) == before


def test_embedding_before_parsing_says_what_to_do(world: World) -> None:
    world.land_shards(1, documents=3)
    result = dg.materialize(
        [asset for asset in world.defs.assets if isinstance(asset, dg.AssetsDefinition)],
        selection=["embeddings"],
        instance=world.instance,
        partition_key="crawl-00000",
        resources=world.defs.resources,
        raise_on_error=False,
    )
    assert "materialize `documents` first" in failure_of(result)
