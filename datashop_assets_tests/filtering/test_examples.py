"""Kept and dropped documents side by side: nearest to the cut-off, and farthest from it."""

from pathlib import Path

import pytest

from datashop_assets.filtering.examples import kept_and_dropped, spread
from datashop_assets_tests.filtering.scored_lakes import ScoredLake


@pytest.mark.parametrize(
    ("policy", "around", "ends"),
    [
        pytest.param({"lower": 2.5}, [("3", "2"), ("4", "1")], [("5", "0"), ("4", "1")], id="a lower bound"),
        pytest.param({"upper": 1.5}, [("1", "2"), ("0", "3")], [("0", "5"), ("1", "4")], id="an upper bound"),
        pytest.param(
            {"lower": 0.5, "upper": 4.6, "reverse": True},
            [("5", "1"), ("0", "4")],
            [("0", "3"), ("5", "2")],
            id="all but what is inside",
        ),
    ],
)
def test_the_nearest_and_the_farthest_of_both_sides_stand_beside_each_other(
    tmp_path: Path, policy: dict[str, object], around: list[tuple[str, str]], ends: list[tuple[str, str]]
) -> None:
    scored = ScoredLake(tmp_path, {"teaching": {"cutoff": policy}})
    for shard, ids in (("crawl-0", ["0", "1", "2"]), ("crawl-1", ["3", "4", "5"])):
        scored.add(shard, ids)
        scored.score("teaching", shard, {each: float(each) for each in ids})
    made = kept_and_dropped(scored.lake, scored.cut("teaching").record, scored.project, ["crawl-0", "crawl-1"])
    for found, expected in ((made.around, around), (made.ends, ends)):
        scores = [
            (kept.removesuffix(".0"), gone.removesuffix(".0")) for kept, gone in found.select("score", "score ").rows()
        ]
        assert scores[: len(expected)] == expected


def test_where_everything_is_kept_the_other_side_is_empty(tmp_path: Path) -> None:
    scored = ScoredLake(tmp_path, {"teaching": {"cutoff": {"lower": -1.0}}})
    scored.add("crawl-0", ["a", "b"])
    scored.score("teaching", "crawl-0", {"a": 1.0, "b": None})
    made = kept_and_dropped(scored.lake, scored.cut("teaching").record, scored.project, ["crawl-0"])
    assert made.ends["score"].to_list() == ["1.0"], "what has no score is on neither side"
    assert made.ends["score "].to_list() == [""]


def test_minified_code_may_be_broken_into_lines_and_words_are_left_alone(tmp_path: Path) -> None:
    scored = ScoredLake(tmp_path, {"teaching": {"cutoff": {"lower": 1.0}}})
    scored.add("crawl-0", ["a"], texts=["let{fade:n,jobName:t,runs:l,forceCount:a}=e,c=l.length"])
    scored.add("crawl-1", ["b"], texts=["a sentence of words"])
    for shard, document in (("crawl-0", "a"), ("crawl-1", "b")):
        scored.score("teaching", shard, {document: 2.0})
    shown = kept_and_dropped(scored.lake, scored.cut("teaching").record, scored.project, ["crawl-0", "crawl-1"]).around[
        "kept"
    ]
    pieces = {len(piece) for piece in shown[0].split("\N{ZERO WIDTH SPACE}")}
    assert (max(pieces), shown[1]) == (20, "a sentence of words")


@pytest.mark.parametrize(
    ("items", "found"),
    [
        pytest.param("abc", "abc", id="fewer than asked for"),
        pytest.param("abcdefghi", "aei", id="first, last and between"),
    ],
)
def test_examples_come_from_the_whole_crawl(items: str, found: str) -> None:
    assert spread(list(items), 3) == list(found)
