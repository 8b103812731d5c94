"""A share of the corpus by scores of a reduced precision: bounds are those of exact scores, and few are made for it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from datashop_assets.filtering import exact_bounds
from datashop_assets.filtering.candidates import Candidates
from datashop_assets.filtering.cutoff import CutoffRecord
from datashop_assets.filtering.drift import looks_at, record_look
from datashop_assets.filtering.exact_bounds import DecidedCutoff, decide_cutoff
from datashop_assets.filtering.exact_decisions import ExactDecisions
from datashop_assets.filtering.filter import apply
from datashop_assets.filtering.rule import Ranking
from datashop_assets.filtering.state import current_cutoff, record_cutoff
from datashop_assets.scoring.exact_band import ErrorBound
from datashop_assets_tests.filtering.scored_lakes import ScoredLake

ERROR, SHARDS, DOCUMENTS = 0.1, 3, 2_000


@dataclass
class Lens:
    low: int = 0
    high: int = 5


@dataclass
class Means:
    lenses: Mapping[str, Lens] = field(default_factory=lambda: {"teaching": Lens(), "clarity": Lens()})
    log: Any = print


@dataclass
class Scorer:
    """Knows every exact score, and notes of whom it was asked."""

    exact: Mapping[str, float]
    bound: ErrorBound = field(default_factory=lambda: ErrorBound(ERROR, 400, 0.01))
    means: Means = field(default_factory=Means)
    asked: set[str] = field(default_factory=set)

    def of_shard(self, shard: str, asked: pl.DataFrame) -> tuple[pl.DataFrame, int]:
        made = len(set(asked["id"]) - self.asked)
        self.asked |= set(asked["id"])
        score = pl.Series("score", [self.exact[one] for one in asked["id"]], pl.Float32)
        return asked.with_columns(score).select("id", "score", "reduced"), made

    def known_of_shard(self, shard: str, asked: pl.DataFrame) -> pl.DataFrame:
        known = [self.exact[one] if one in self.asked else None for one in asked["id"]]
        return asked.select("id", pl.Series("score", known, pl.Float32))


@dataclass
class Both:
    """The same corpus twice: with exact scores, and with scores that are off by up to ERROR, up more than down."""

    exact: ScoredLake
    reduced: ScoredLake
    scorers: dict[str, Scorer]

    def decided_on_exact_scores(self) -> CutoffRecord:
        return self.exact.cut("teaching").record

    @property
    def ranking(self) -> Ranking:
        return Ranking("teaching", "teaching-1", self.reduced.rule("teaching"))

    def look(self) -> DecidedCutoff:
        lake, project = self.reduced.lake, self.reduced.project
        made = decide_cutoff(lake, self.ranking, project, current_cutoff(lake, "teaching"), {})
        record_look(lake, made.decision.record, made.corpus.shards, {}, made.lacked_at)
        if made.decision.is_new:
            record_cutoff(lake, made.decision.record, {})
        return made

    def decided(self) -> CutoffRecord:
        return self.look().decision.record

    def filter(self, record: CutoffRecord, shards: int = SHARDS) -> set[str]:
        """What the runs that filter score again, shard by shard; the documents that are kept."""
        kept: set[str] = set()
        names = [f"crawl-0000{number}" for number in range(shards)]
        exact, lake, project = ExactDecisions(self.ranking, self.scorers), self.reduced.lake, self.reduced.project  # type: ignore[arg-type]
        rows = Candidates(lake, self.ranking, project, dict.fromkeys(names, DOCUMENTS))
        for shard in names:
            decided = apply(exact.filtered(shard, rows.read(shard), record)[0], record, pool_only=False)
            kept |= set(decided.filter("kept")["id"])
        return kept


def corpus(folder: Path, policy: Mapping[str, Any], seed: int, monkeypatch: pytest.MonkeyPatch) -> Both:
    lenses = {"teaching": {"cutoff": policy}, "clarity": {}}
    both = Both(ScoredLake(folder / "a", lenses), ScoredLake(folder / "b", lenses), {})
    for lens in lenses:
        both.scorers[lens] = Scorer({})
    grow(both, seed, range(SHARDS))

    def exact(_: object, ranking: Ranking, *__: object) -> ExactDecisions:
        return ExactDecisions(ranking, both.scorers)  # type: ignore[arg-type]

    monkeypatch.setattr(exact_bounds, "exact_decisions", exact)
    return both


def grow(both: Both, seed: int, shards: range, mean: float = 2.0) -> None:
    dice = np.random.default_rng(seed)
    for number in shards:
        shard, ids = f"crawl-0000{number}", [f"{number}-{row}" for row in range(DOCUMENTS)]
        for lake in (both.exact, both.reduced):
            lake.add(shard, ids, ["wiki" if row % 3 else "forum" for row in range(DOCUMENTS)])
        for lens in ("teaching", "clarity"):
            exact = dice.normal(mean, 1, DOCUMENTS).astype(np.float32)
            off = (exact + 0.999 * dice.triangular(-ERROR, 0.9 * ERROR, ERROR, DOCUMENTS)).astype(np.float32)
            by_id = [dict(zip(ids, scores.tolist(), strict=True)) for scores in (exact, off)]
            both.scorers[lens].exact = {**both.scorers[lens].exact, **by_id[0]}
            both.exact.score(lens, shard, by_id[0])
            both.reduced.score(lens, shard, by_id[1])


every_share = pytest.mark.parametrize(
    "policy",
    [
        pytest.param({"keep_fraction": 0.1}, id="the best tenth"),
        pytest.param({"keep_fraction": 0.1, "share_error": 0.01}, id="of summaries"),
        pytest.param({"keep_fraction": 0.9}, id="nearly all"),
        pytest.param({"keep_fraction": 0.1, "draw": {"temperature": 0.5, "seed": 1}}, id="drawn"),
        pytest.param({"quotas": {"forum": {"documents": 100}, "*": {"keep_fraction": 0.2}}}, id="quotas"),
        pytest.param({"quotas": {"forum": {"documents": 0}, "*": {"keep_fraction": 0.2}}}, id="nothing of a source"),
        pytest.param({"keep_fraction": 0.1, "condition": "clarity.int < 2 or teaching > 3"}, id="with a condition"),
    ],
)


@every_share
@pytest.mark.parametrize("seed", range(3))
def test_bounds_are_those_of_exact_scores(
    tmp_path: Path, policy: Mapping[str, Any], seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = corpus(tmp_path, policy, seed, monkeypatch)
    wanted, decided = both.decided_on_exact_scores(), both.decided()
    assert (decided.lower, decided.lower_by_source) == (wanted.lower, wanted.lower_by_source)
    assert decided.kept_share == wanted.kept_share
    assert decided.documents == wanted.documents
    assert len(both.scorers["teaching"].asked) < 0.3 * SHARDS * DOCUMENTS


def test_the_reduced_scores_alone_would_decide_otherwise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    both = corpus(tmp_path, {"keep_fraction": 0.1}, 0, monkeypatch)
    assert both.reduced.cut("teaching").record.lower != both.decided_on_exact_scores().lower


def test_a_record_stands_or_falls_by_exact_scores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    both = corpus(tmp_path, {"keep_fraction": 0.1, "tolerance": 0.01}, 0, monkeypatch)
    first = both.decided()
    assert both.decided() == first
    assert both.decided_on_exact_scores().lower == first.lower
    for number, mean in enumerate((2.05, 2.5, 1.0), start=SHARDS):
        grow(both, number, range(number, number + 1), mean)
        assert both.decided().lower == both.decided_on_exact_scores().lower
    assert both.decided() != first


@every_share
def test_more_than_a_few_documents_are_left_to_the_runs_that_filter(
    tmp_path: Path, policy: Mapping[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    both = corpus(tmp_path, policy, 0, monkeypatch)
    wanted, teaching = both.decided_on_exact_scores(), both.scorers["teaching"]
    monkeypatch.setattr(exact_bounds, "MOST_HERE", 3)
    look = both.look()
    assert look.lacked_at is not None
    assert not teaching.asked
    for _ in range(3):
        kept, record = len(both.filter(look.decision.record)), look.decision.record
        if look.decision.is_new:
            off = abs(kept / look.corpus.documents - record.kept_share)
            assert off <= record.share_error, "the record said how far its share may be off"
        before = len(teaching.asked)
        look = both.look()
        if look.lacked_at is None:
            break
        assert len(teaching.asked) <= before + 3, "it scores no more by itself"
    assert look.lacked_at is None
    decided = look.decision.record
    assert (decided.lower, decided.lower_by_source) == (wanted.lower, wanted.lower_by_source)
    assert look.decision.kept_share == wanted.kept_share
    assert len(teaching.asked) < 0.3 * SHARDS * DOCUMENTS


def test_a_provisional_record_stands_within_its_tolerance_while_the_corpus_grows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = corpus(tmp_path, {"keep_fraction": 0.1, "tolerance": 0.05}, 0, monkeypatch)
    monkeypatch.setattr(exact_bounds, "MOST_HERE", 3)
    first = both.look().decision.record
    for number in range(SHARDS, SHARDS + 2):
        both.filter(first)
        grow(both, number, range(number, number + 1))
        look = both.look()
        assert look.lacked_at is not None
        assert look.decision.record.cutoff == first.cutoff
    both.filter(first, shards=SHARDS + 2)
    assert both.look().decision.record.lower == both.decided_on_exact_scores().lower


def test_a_record_made_with_all_scores_is_not_provisional_because_a_later_look_lacks_some(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = corpus(tmp_path, {"keep_fraction": 0.1, "tolerance": 0.05}, 0, monkeypatch)
    first = both.look().decision.record
    monkeypatch.setattr(exact_bounds, "MOST_HERE", 3)
    grow(both, SHARDS, range(SHARDS, SHARDS + 1))
    look = both.look()
    assert look.lacked_at is not None
    assert not looks_at(both.reduced.lake, first).is_provisional
    both.filter(first, shards=SHARDS + 1)
    assert both.look().decision.record.cutoff == first.cutoff, "it is within its tolerance"


def test_a_few_documents_more_are_scored_by_the_run_that_decides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = corpus(tmp_path, {"keep_fraction": 0.1}, 0, monkeypatch)
    monkeypatch.setattr(exact_bounds, "MOST_HERE", 1_000)
    decided = both.look()
    assert decided.lacked_at is None
    assert 0 < decided.facts["scored again in float32"] <= 1_000
    assert decided.decision.record.lower == both.decided_on_exact_scores().lower


def test_around_a_fixed_bound_nothing_is_scored_before_documents_are_filtered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = corpus(tmp_path, {"lower": 2.0}, 0, monkeypatch)
    assert both.decided().lower == 2.0
    assert not both.scorers["teaching"].asked
