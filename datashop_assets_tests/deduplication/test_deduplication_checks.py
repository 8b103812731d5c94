"""The checks of deduplication: what they let pass, and what they tell of."""

from pathlib import Path

import dagster as dg
import polars as pl

from datashop_assets.deduplication.tables import CONTAMINATION
from datashop_assets.deduplication.versions import own_version, with_others
from datashop_assets.records import DOCUMENTS
from datashop_assets_tests.deduplication.copied_texts import EVERYTHING, OTHER, TEXT, land
from datashop_assets_tests.worlds import World, write_project


def verdicts(result: dg.ExecuteInProcessResult) -> dict[tuple[str, str], bool]:
    return {
        (check.asset_key.to_user_string(), check.check_name): check.passed
        for check in result.get_asset_check_evaluations()
    }


def test_a_plausible_corpus_passes_and_half_of_it_rejected_is_told(tmp_path: Path) -> None:
    write_project(tmp_path, deduplication=EVERYTHING)
    world = World(tmp_path)
    land(world, "a", TEXT, OTHER)
    world.run("sign_documents")
    passed = verdicts(world.run("deduplicate"))
    assert set(passed) == {
        (asset, check)
        for asset in ("duplicates", "repeated_paragraphs", "contamination")
        for check in ("every_document_is_judged", "few_are_rejected")
    }
    assert all(passed.values())
    land(world, "b", *(f"{TEXT} {OTHER} {number}" for number in range(9)))
    world.run("sign_documents")
    told = [name for name, good in verdicts(world.run("deduplicate")).items() if not good]
    assert told == [("duplicates", "few_are_rejected")]


def test_a_document_without_an_answer_is_told(tmp_path: Path) -> None:
    write_project(tmp_path, deduplication={"contamination": {}})
    world = World(tmp_path)
    (shard,) = land(world, "a", TEXT, OTHER)
    documents = world.read(DOCUMENTS)["version"][0]
    own = own_version(CONTAMINATION, documents, world.graph.project.deduplication)
    version = with_others(own, "x")
    row = {"shard": shard, "id": world.read(DOCUMENTS)["id"][0], "matches": 0, "version": version}
    frame = pl.DataFrame([row], schema=CONTAMINATION.schema)
    world.lake.commit(CONTAMINATION, frame, [{"shard": shard, "version": version}], {})
    check = next(c for c in world.defs.asset_checks or () if c.check_key.name == "every_document_is_judged")
    assert not check(world.lake).passed
