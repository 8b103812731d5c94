"""The check of the embeddings: a vector for every document, or the shards that lack some are named."""

import dagster as dg

from datashop_assets.records import EMBEDDINGS
from datashop_assets_tests.worlds import World


def check_of(result: dg.ExecuteInProcessResult) -> dg.AssetCheckEvaluation:
    (check,) = [e for e in result.get_asset_check_evaluations() if e.check_name == "every_document_is_embedded"]
    return check


def test_every_vector_there_passes(world: World) -> None:
    world.land_shards(3, documents=6)
    check = check_of(world.run("parse_and_embed_shards"))
    assert check.passed
    assert check.metadata["shards that differ"].value == 0


def test_lost_vectors_are_an_error_that_names_their_shard_alone_with_both_counts(world: World) -> None:
    world.land_shards(3, documents=6)
    world.run("parse_and_embed_shards")
    table = EMBEDDINGS.of(world.encoder.id)
    rows = world.read(table).filter(shard="crawl-00001")
    world.lake.commit(table, rows.head(4), [{"shard": "crawl-00001", "version": rows["version"][0]}], {})
    check = check_of(world.run("parse_and_embed_shards"))
    assert not check.passed
    assert check.severity == dg.AssetCheckSeverity.ERROR
    assert check.metadata["shards that differ"].value == 1
    assert check.metadata["which"].value == "of embeddings; shard crawl-00001; expected 6; rows 4"


def test_shards_that_are_not_embedded_yet_are_no_fault(world: World) -> None:
    world.land_shards(3, documents=6)
    assert check_of(world.run("parse_and_embed_shards", shards=world.shards[:1])).passed


def test_a_shard_without_documents_has_no_vectors_and_passes(world: World) -> None:
    world.land("part-000", lines=["not json"])
    world.register()
    assert check_of(world.run("parse_and_embed_shards")).passed
