"""The check of the scores: one by the classifier in force for every document, or the shards that lack some."""

import dagster as dg
import pytest

from datashop_assets.records import SCORES
from datashop_assets_tests.worlds import World, promote_for_four_shards


@pytest.fixture
def promoted(world: World) -> World:
    return world.once(promote_for_four_shards)


def check_of(result: dg.ExecuteInProcessResult) -> dg.AssetCheckEvaluation:
    (check,) = [e for e in result.get_asset_check_evaluations() if e.check_name == "every_document_is_scored"]
    return check


def test_lost_scores_are_an_error_that_names_lens_and_shard_with_both_counts(promoted: World) -> None:
    whole = check_of(promoted.run("score_documents", "teaching"))
    assert whole.passed
    assert whole.metadata["shards that differ"].value == 0

    table = SCORES.of("teaching")
    rows = promoted.read(table).filter(shard="crawl-00002")
    cell = {name: rows[name][0] for name in ("classifier", "shard", "version")}
    promoted.lake.commit(table, rows.head(33), [cell], {})
    check = check_of(promoted.run("score_documents", "teaching"))
    assert not check.passed
    assert check.severity == dg.AssetCheckSeverity.ERROR
    which = check.metadata["which"].value
    assert which == f"of teaching; classifier {cell['classifier']}; shard crawl-00002; expected 40; rows 33"
    assert check.metadata["shards that differ"].value == 1, "a lens without a promotion is no fault"


def test_shards_that_are_not_scored_yet_are_no_fault(promoted: World) -> None:
    assert check_of(promoted.run("score_documents", "teaching", shards=promoted.shards[:1])).passed
