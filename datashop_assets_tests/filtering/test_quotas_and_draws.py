"""Bounds for each source, and draws that prefer good documents."""

import math
import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datashop_assets.filter_settings import Draw
from datashop_assets.filtering.draw import drawing_keys, uniform
from datashop_assets.filtering.overview import by_source, cutoff_problems
from datashop_assets.filtering.sketches import ranked_corpus
from datashop_assets.lineage import content_id
from datashop_assets_tests.filtering.scored_lakes import ScoredLake

SHARDS = ["crawl-00000", "crawl-00001"]
SOURCES = ["wiki", "web", None, "forum"]


def lake_with(folder: Path, cutoff: dict, documents: int = 40) -> ScoredLake:
    """Documents of four sources in turn, the later the better."""
    made = ScoredLake(folder, {"teaching": {"cutoff": cutoff}})
    for shard in SHARDS:
        ids = [f"{shard}-{n:03d}" for n in range(documents)]
        made.add(shard, ids, [SOURCES[n % 4] for n in range(documents)])
        made.score("teaching", shard, {one: float(n) for n, one in enumerate(ids)})
    return made


def kept_of(lake: ScoredLake) -> dict[str | None, int]:
    kept = lake.kept("teaching")
    return {source: sum(SOURCES[int(one[-3:]) % 4] == source for one in kept) for source in SOURCES}


def test_each_source_has_a_bound_of_its_own_and_the_others_one_together(tmp_path: Path) -> None:
    asked = {"wiki": {"keep_fraction": 0.5}, "web": {"documents": 4}, "*": {"keep_fraction": 0.1}}
    lake = lake_with(tmp_path, {"quotas": asked})
    decision = lake.cut("teaching")
    lake.filter("teaching", *SHARDS)
    kept = kept_of(lake)
    assert (kept["wiki"], kept["web"], kept[None] + kept["forum"]) == (10, 4, 4)
    assert set(lake.verdicts("teaching").values()) == {"kept", "below_lower"}
    assert decision.record.lower is None
    assert decision.record.lower_by_source == {"*": 38.0, "web": 33.0, "wiki": 20.0}
    corpus = ranked_corpus(lake.lake, decision.record.ranking, lake.project)
    assert by_source(corpus, decision).select("source", "documents", "kept").rows() == [
        ("*", 40, 4),
        ("web", 20, 4),
        ("wiki", 20, 10),
    ]


def test_a_quota_of_none_keeps_none_and_one_above_what_there_is_keeps_all(tmp_path: Path) -> None:
    lake = lake_with(tmp_path, {"quotas": {"wiki": {"documents": 1000}, "*": {"documents": 0}}})
    lake.cut("teaching")
    lake.filter("teaching", *SHARDS)
    assert kept_of(lake) == {"wiki": 20, "web": 0, None: 0, "forum": 0}
    assert lake.cut("teaching").is_new is False


@pytest.mark.parametrize(
    ("cutoff", "problem"),
    [
        pytest.param({"quotas": {"wkii": {"documents": 3}, "*": {"documents": 9}}}, r"\['wkii'\].*spelled", id="slip"),
        pytest.param({"condition": "teaching >= 0"}, "everything is kept", id="all"),
        pytest.param({"lower": 1000}, "nothing is kept", id="none"),
        pytest.param({"keep_fraction": 0.1, "share_error": 0.2}, "set a smaller share_error", id="a share of no use"),
    ],
)
def test_a_cutoff_that_a_person_should_look_at_is_told_of(tmp_path: Path, cutoff: dict, problem: str) -> None:
    assert re.search(problem, "; ".join(cutoff_problems(lake_with(tmp_path, cutoff).cut("teaching").record)))


def test_a_plain_cutoff_has_nothing_to_look_at(tmp_path: Path) -> None:
    asked = {"quotas": {"wiki": {"documents": 3}, "forum": {"documents": 0}, "*": {"keep_fraction": 0.1}}}
    assert cutoff_problems(lake_with(tmp_path, asked).cut("teaching").record) == []


def test_one_sources_drift_makes_a_new_record(tmp_path: Path) -> None:
    lake = lake_with(tmp_path, {"quotas": {"wiki": {"documents": 10}, "*": {"keep_fraction": 0.5}}})
    assert lake.cut("teaching").is_new
    lake.add("crawl-00002", ["x", "y"], ["web", "web"])
    lake.score("teaching", "crawl-00002", {"x": 99.0, "y": 0.0})
    assert lake.cut("teaching").is_new is False, "half of the others are still kept"
    lake.add("crawl-00003", ["z1", "z2"], ["wiki", "wiki"])
    lake.score("teaching", "crawl-00003", {"z1": 99.0, "z2": 99.0})
    after = lake.cut("teaching")
    assert after.is_new, "12 documents of one source, where 10 are asked, are off by more than 2 % of 10"
    assert "of source 'wiki'" in after.why


def test_a_draw_keeps_so_many_and_says_why_the_others_are_not(tmp_path: Path) -> None:
    lake = lake_with(tmp_path, {"keep_fraction": 0.25, "draw": {"temperature": 20.0}})
    decision = lake.cut("teaching")
    lake.filter("teaching", *SHARDS)
    verdicts = lake.verdicts("teaching")
    assert len(lake.kept("teaching")) == 20
    assert decision.kept_share == 0.25
    assert set(verdicts.values()) == {"kept", "not_drawn"}
    best = {one for one in verdicts if int(one[-3:]) >= 30}
    assert 0 < len(lake.kept("teaching") & best) < 20, "the best are preferred, and not all that is kept"


def test_a_new_shard_changes_no_drawn_documents_key_and_another_seed_draws_others(tmp_path: Path) -> None:
    lake = lake_with(tmp_path, {"keep_fraction": 0.25, "tolerance": 1, "draw": {"temperature": 20.0}})
    lake.cut("teaching")
    lake.filter("teaching", *SHARDS)
    before = lake.verdicts("teaching")
    lake.add("crawl-00002", ["x", "y"])
    lake.score("teaching", "crawl-00002", {"x": 99.0, "y": 0.0})
    lake.cut("teaching")
    lake.filter("teaching", *SHARDS, "crawl-00002")
    assert before.items() <= lake.verdicts("teaching").items()
    lake.ask({"teaching": {"cutoff": {"keep_fraction": 0.25, "draw": {"temperature": 20.0, "seed": 1}}}})
    lake.cut("teaching")
    lake.filter("teaching", *SHARDS)
    assert {one: verdict for one, verdict in lake.verdicts("teaching").items() if one in before} != before


def texts(count: int, salt: str = "") -> pl.Series:
    return pl.Series([content_id(salt, n, length=32) for n in range(count)])


def test_near_temperature_zero_a_draw_is_the_best_and_hot_ones_forget_the_score() -> None:
    scores = np.linspace(-3, 3, 2000, dtype=np.float32)

    def drawn(temperature: float) -> np.ndarray:
        return np.argsort(-drawing_keys(scores, texts(2000), Draw(temperature=temperature)))[:200]

    np.testing.assert_array_equal(np.sort(drawn(1e-6)), np.arange(1800, 2000))
    assert abs(scores[drawn(1000.0)].mean()) < 0.4, "a mean of 200 of a uniform one has a deviation of 0.12"
    assert scores[drawn(1.0)].mean() > 1


def test_the_first_drawn_is_each_document_in_proportion_to_the_exponential_of_its_score() -> None:
    scores = np.array([0.0, 1.0, 2.0], np.float32)
    temperature, rounds = 2.0, 6000
    first = np.zeros(3)
    for seed in range(rounds):
        first[np.argmax(drawing_keys(scores, texts(3), Draw(temperature=temperature, seed=seed)))] += 1
    weights = np.exp(scores / temperature)
    np.testing.assert_allclose(first / rounds, weights / weights.sum(), atol=0.025)  # 4 standard errors


@given(seed=st.integers(-(2**70), 2**70))
def test_numbers_of_texts_are_between_0_and_1_and_the_same_everywhere(seed: int) -> None:
    made = uniform(texts(50), seed)
    assert ((made > 0) & (made < 1)).all()
    np.testing.assert_array_equal(made, uniform(texts(50), seed))
    np.testing.assert_array_equal(made[::-1], uniform(texts(50).reverse(), seed))


def test_the_numbers_do_not_change_between_versions() -> None:
    """A draw that was made is made again for ever."""
    made = uniform(pl.Series(["0" * 32, "f" * 32, "0123456789abcdef" * 2]), 0)
    assert made.tolist() == [0.8833108082136427, 0.8939429202831846, 0.08389616190521448]


def test_numbers_of_many_texts_are_uniform_and_of_two_seeds_independent() -> None:
    one, two = uniform(texts(20_000), 0), uniform(texts(20_000), 1)
    counts, _ = np.histogram(one, bins=20, range=(0, 1))
    assert abs(counts - 1000).max() < 5 * math.sqrt(1000)
    assert abs(np.corrcoef(one, two)[0, 1]) < 5 / math.sqrt(20_000)
