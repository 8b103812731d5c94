"""Conditions over several lenses: what is kept, why the rest is not, and what makes it be decided again."""

from pathlib import Path

import pytest

from datashop_assets.cellwork import CellsFailedError
from datashop_assets.embedding.inputs import MissingUpstreamError
from datashop_assets.filtering.state import ranking_versions, require_cutoff, wanted_filtered
from datashop_assets.records import FILTERED, Cell
from datashop_assets_tests.filtering.scored_lakes import ScoredLake

SHARD = "crawl-00000"
EDU = {"a": 4.0, "b": 3.0, "c": 3.5, "d": 1.0, "e": 2.0}


def lake_with(folder: Path, cutoff: dict, code: dict[str, float | None], **changes: object) -> ScoredLake:
    made = ScoredLake(folder, {"teaching": {"cutoff": cutoff}, "clarity": {}}, **changes)
    made.add(SHARD, list(EDU))
    made.score("teaching", SHARD, EDU)
    made.score("clarity", SHARD, code)
    return made


CODE: dict[str, float | None] = {"a": 3.0, "b": 1.4, "c": 1.6, "d": 0.0, "e": None}


def test_documents_are_kept_by_several_lenses_scores_and_the_others_have_their_reasons(tmp_path: Path) -> None:
    lake = lake_with(tmp_path, {"condition": "teaching >= 3 and clarity < 2"}, CODE)
    decision = lake.cut("teaching")
    lake.filter("teaching", SHARD)
    assert lake.verdicts("teaching") == {
        "a": "condition",
        "b": "kept",
        "c": "kept",
        "d": "condition",
        "e": "unscored",
    }
    assert dict(lake.lake.read(FILTERED.of("teaching")).select("id", "detail").iter_rows())["e"] == "clarity"
    assert (decision.kept_share, decision.documents, decision.unscored) == (0.5, 4, 1)


def test_a_missing_score_is_never_a_number_whatever_else_the_condition_says(tmp_path: Path) -> None:
    lake = lake_with(tmp_path, {"condition": "teaching >= 0 or clarity > 100"}, CODE)
    lake.cut("teaching")
    lake.filter("teaching", SHARD)
    assert lake.verdicts("teaching")["e"] == "unscored"


def test_the_integer_score_can_be_asked(tmp_path: Path) -> None:
    lake = lake_with(tmp_path, {"condition": "clarity.int == 2"}, CODE)
    lake.cut("teaching")
    lake.filter("teaching", SHARD)
    assert lake.kept("teaching") == {"c"}


def test_a_keep_fraction_is_one_of_what_meets_the_condition(tmp_path: Path) -> None:
    lake = lake_with(tmp_path, {"keep_fraction": 0.34, "condition": "clarity < 2"}, CODE)
    lake.cut("teaching")
    lake.filter("teaching", SHARD)
    assert lake.verdicts("teaching") == {
        "a": "condition",
        "b": "below_lower",
        "c": "kept",
        "d": "below_lower",
        "e": "unscored",
    }, "a third of b, c and d, not of all five"


def test_scores_in_another_order_are_still_each_documents_own(tmp_path: Path) -> None:
    lake = lake_with(tmp_path, {"condition": "teaching >= 3 and clarity < 2"}, dict(reversed(CODE.items())))
    lake.cut("teaching")
    lake.filter("teaching", SHARD)
    assert lake.kept("teaching") == {"b", "c"}


def test_new_scores_of_a_name_in_the_condition_make_the_cell_stale_and_other_lenses_scores_do_not(
    tmp_path: Path,
) -> None:
    lake = lake_with(tmp_path, {"condition": "teaching >= 3 and clarity < 2"}, CODE)
    lake.cut("teaching")
    assert lake.filter("teaching", SHARD) == [SHARD]
    assert lake.filter("teaching", SHARD) == []
    lake.score("clarity", SHARD, dict.fromkeys(EDU, 0.0), version="s2")
    assert lake.filter("teaching", SHARD) == [SHARD]
    assert lake.kept("teaching") == {"a", "b", "c"}
    lake.promote("clarity", "clarity-2")
    lake.score("clarity", SHARD, dict.fromkeys(EDU, 5.0))
    assert lake.filter("teaching", SHARD) == [SHARD]
    assert lake.kept("teaching") == set()
    assert lake.cut("teaching").is_new is False, "the condition is the same: the record stands"


def test_what_has_no_scores_yet_is_named_and_the_other_shards_go_on(tmp_path: Path) -> None:
    lake = lake_with(tmp_path, {"condition": "clarity < 2"}, CODE)
    lake.add("crawl-00001", ["x"])
    lake.score("teaching", "crawl-00001", {"x": 1.0})
    lake.cut("teaching")
    with pytest.raises(CellsFailedError, match=r"crawl-00001: materialize the scores of 'clarity' first"):
        lake.filter("teaching", SHARD, "crawl-00001")
    assert lake.kept("teaching") == {"b", "c", "d"}
    cells = [Cell("crawl-00001", "teaching")]
    with pytest.raises(MissingUpstreamError, match="scores of 'clarity'"):
        wanted_filtered(lake.lake, require_cutoff(lake.lake, "teaching"), lake.project, cells)


def test_an_attribute_without_scores_is_named(tmp_path: Path) -> None:
    lake = lake_with(tmp_path, {"condition": "size < 2"}, CODE, attributes={"size": {"kind": "length"}})
    with pytest.raises(MissingUpstreamError, match="attribute 'size' has no scores as it is set now"):
        lake.cut("teaching")


def test_a_filter_of_its_own_scores_alone_has_their_version(tmp_path: Path) -> None:
    """So that no lake's filtered documents became stale when there were conditions."""
    lake = lake_with(tmp_path, {"condition": "teaching > 3"}, CODE)
    ranking = lake.cut("teaching").record.ranking
    made, missing = ranking_versions(lake.lake, ranking, lake.project, [Cell(SHARD, "teaching")])
    assert (made, missing) == ({Cell(SHARD, "teaching"): "s"}, {})
