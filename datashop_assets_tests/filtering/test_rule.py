"""A rule as a record keeps it: nothing is lost, and records of before there were more kinds of filters stand."""

from dataclasses import replace
from datetime import UTC, datetime

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datashop_assets.filter_settings import Draw, KeepFraction, Quota, Quotas, Threshold
from datashop_assets.filtering.cutoff import CutoffRecord
from datashop_assets.filtering.rule import Policy, Ranking, Rule
from datashop_assets_tests.filtering.rankings import decide, verdicts

conditions = st.none() | st.sampled_from(["teaching > 1", "clarity.int < 2 and teaching > 0"])
draws = st.none() | st.builds(Draw, temperature=st.floats(0.01, 10), seed=st.integers())
shares = st.floats(0.01, 0.99)
quotas = st.dictionaries(st.sampled_from(["web", "wiki"]), st.builds(Quota, keep_fraction=shares)).map(
    lambda named: named | {"*": Quota(documents=3)}
)
policies = st.one_of(
    st.builds(KeepFraction, keep_fraction=shares, condition=conditions, draw=draws, tolerance=shares),
    st.builds(Quotas, quotas=quotas, condition=conditions, draw=draws, share_error=st.floats(0, 0.4)),
    st.builds(Threshold, lower=st.floats(-5, 5), reverse=st.booleans(), condition=conditions),
)


@given(policy=policies, population=st.none() | st.just("clarity"))
def test_what_decides_survives_the_record_and_what_does_not_is_left_out(policy: Policy, population: str | None) -> None:
    rule = Rule(policy, population)
    again = Rule.from_text(rule.text)
    assert again.text == rule.text
    assert (again.population, again.draw, again.sources) == (population, rule.draw, rule.sources)
    assert (again.condition and again.condition.text) == (rule.condition and rule.condition.text)
    assert "tolerance" not in rule.text
    assert "share_error" not in rule.text


@pytest.mark.parametrize(
    ("policy", "text"),
    [
        pytest.param(KeepFraction(keep_fraction=0.1), '{"keep_fraction": 0.1}', id="a share"),
        pytest.param(Threshold(lower=2), '{"lower": 2.0, "reverse": false, "upper": null}', id="a bound"),
    ],
)
def test_the_text_of_older_kinds_is_what_it_was(policy: Policy, text: str) -> None:
    """Else every lake would make new cut-offs, and filter everything again."""
    assert Rule(policy).text == text


RANKING = Ranking("teaching", "a", Rule(KeepFraction(keep_fraction=0.1)))


@pytest.mark.parametrize(
    ("ranking", "same"),
    [
        pytest.param(replace(RANKING, rule=Rule(KeepFraction(keep_fraction=0.5))), True, id="another share"),
        pytest.param(replace(RANKING, rule=Rule(Threshold(lower=1))), True, id="a bound instead"),
        pytest.param(replace(RANKING, classifier="b"), False, id="another classifier"),
        pytest.param(replace(RANKING, rule=replace(RANKING.rule, population="clarity")), False, id="a population"),
        pytest.param(
            replace(RANKING, rule=Rule(KeepFraction(keep_fraction=0.1, condition="clarity > 1"))), False, id="condition"
        ),
        pytest.param(
            replace(RANKING, rule=Rule(KeepFraction(keep_fraction=0.1, draw=Draw(temperature=1)))), False, id="a draw"
        ),
        pytest.param(
            replace(RANKING, rule=Rule(KeepFraction(keep_fraction=0.1, share_error=0.1))), False, id="another error"
        ),
    ],
)
def test_summaries_are_shared_by_rules_that_rank_alike(ranking: Ranking, same: bool) -> None:
    assert (ranking.id == RANKING.id) == same


def test_a_record_of_before_there_were_quotas_and_bounds_is_read() -> None:
    row = {
        "lens": "teaching",
        "cutoff": "c",
        "classifier": "a",
        "policy": '{"keep_fraction": 0.1}',
        "lower": 1.0,
        "upper": None,
        "reverse": False,
        "kept_share": 0.1,
        "documents": 10,
        "shards": ["crawl-0"],
        "created_at": datetime(2026, 1, 1, tzinfo=UTC),
        "share_error": None,
        "lower_by_source": None,
    }
    record = CutoffRecord.from_row(row)
    assert (record.share_error, record.lower_by_source, record.ranking) == (0.0, {}, RANKING)


@given(
    rows=st.lists(st.tuples(st.sampled_from(["web", "wiki", "*"]), st.integers(-5, 5)), min_size=1, max_size=60),
    web=shares,
    others=st.integers(0, 20),
)
def test_every_source_keeps_its_best_and_what_the_decision_says_is_what_is_kept(
    rows: list[tuple[str, int]], web: float, others: int
) -> None:
    policy = Quotas(quotas={"web": Quota(keep_fraction=web), "wiki": Quota(documents=2), "*": Quota(documents=others)})
    scores = pl.DataFrame(rows, schema={"source": pl.String, "score": pl.Float32}, orient="row").with_columns(
        shard=pl.lit("s")
    )
    decision = decide(scores, policy, "teaching", "a", None)
    kept = scores.with_columns(kept=verdicts(scores, decision.record)["kept"])
    for source, group in kept.partition_by("source", as_dict=True).items():
        name, n = str(source[0]), group.height
        wanted = {"web": max(1, round(web * n)), "wiki": min(2, n), "*": min(others, n)}[name]
        best = sorted(group["score"], reverse=True)[:wanted]
        expected = [score >= best[-1] if best else False for score in group["score"]]
        assert group["kept"].to_list() == expected
        assert decision.kept[name] == sum(expected)
    assert decision.record.kept_share == kept["kept"].sum() / kept.height
