import hashlib
from collections import Counter

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datashop_assets.classifier.dataset import TrainingError, is_held_out, split
from datashop_assets.classifier.head import int_scores
from datashop_assets.classifier_settings import ClassifierRecipe
from datashop_assets_tests.classifier.lenses import lens

RECIPE = ClassifierRecipe()


def sha(text: object) -> str:
    return hashlib.sha256(str(text).encode()).hexdigest()[:32]


def labelled(texts: list[int], scores: list[float | None]) -> pl.DataFrame:
    return pl.DataFrame(
        {"text_sha": [sha(text) for text in texts], "score": scores},
        schema={"text_sha": pl.String, "score": pl.Float64},
    )


def sides(frame: pl.DataFrame, recipe: ClassifierRecipe = RECIPE) -> dict[str, set[str]]:
    parts = split(frame, lens(), recipe)
    return {
        name: {frame["text_sha"][int(row)] for row in getattr(parts, name).rows}
        for name in ("train", "validation", "held_out")
    }


# Between 150 and 300 rows over fewer texts, so that texts repeat; every tenth row or so has no score.
ROWS = st.integers(0, 2**32 - 1).map(
    lambda seed: (
        lambda r, n: labelled(
            r.integers(0, 2 * n, n).tolist(),
            [None if r.random() < 0.1 else float(s) for s in r.uniform(-1, 6, n)],
        )
    )(np.random.default_rng(seed), 150 + seed % 150)
)


@settings(max_examples=40, deadline=None)
@given(ROWS)
def test_a_text_is_on_one_side_only_and_no_scored_text_is_lost(frame):
    parts = sides(frame)
    together = Counter(text for side in parts.values() for text in side)
    assert set(together.values()) == {1}
    assert set(together) == set(frame.drop_nulls("score")["text_sha"])


@settings(max_examples=40, deadline=None)
@given(ROWS)
def test_the_counts_account_for_every_row(frame):
    counts = split(frame, lens(), RECIPE).counts
    parts = counts.train + counts.validation + counts.held_out
    assert counts.given == frame.height == counts.without_score + counts.repeats + parts
    assert counts.without_score == frame["score"].null_count() > 0


@settings(max_examples=40, deadline=None)
@given(ROWS, st.randoms(use_true_random=False))
def test_the_split_does_not_depend_on_the_order_of_the_rows(frame, random):
    order = list(range(frame.height))
    random.shuffle(order)
    assert sides(frame[order]) == sides(frame)


@settings(max_examples=40, deadline=None)
@given(ROWS)
def test_validation_takes_its_share_of_every_score(frame):
    parts = split(frame, lens(), RECIPE)
    train = Counter(int_scores(parts.train.scores, lens()).tolist())
    validation = Counter(int_scores(parts.validation.scores, lens()).tolist())
    for score in train | validation:
        wanted = RECIPE.validation_share * (train[score] + validation[score])
        assert abs(validation[score] - wanted) < 1


@settings(max_examples=40, deadline=None)
@given(ROWS, ROWS, st.integers(0, 99))
def test_held_out_texts_stay_held_out_under_other_labels_other_rows_and_another_seed(frame, more, seed):
    relabelled = frame.with_columns(pl.col("score") / 2 + 1)
    later = sides(pl.concat([relabelled, more]), ClassifierRecipe(seed=seed))
    assert sides(frame)["held_out"] <= later["held_out"]


def test_the_held_out_share_is_what_the_recipe_asks_for():
    held = sum(is_held_out(sha(n), 0.2) for n in range(20_000))
    # Four standard errors of a share of 0.2 of 20,000.
    assert held / 20_000 == pytest.approx(0.2, abs=0.0114)


def test_documents_sampled_by_the_smallest_hash_are_held_out_like_any_others():
    sample = sorted(sha(n) for n in range(50_000))[:5_000]
    assert sum(is_held_out(text, 0.2) for text in sample) / 5_000 == pytest.approx(0.2, abs=0.0227)


def test_a_text_rated_several_times_counts_once_with_its_mean_score():
    frame = labelled([*range(100), 7, 7], [2.0, *[1.0] * 99, 4.0, 4.0])
    parts = split(frame, lens(), RECIPE)
    scores = {
        int(row): float(score)
        for part in (parts.train, parts.validation, parts.held_out)
        for row, score in zip(part.rows, part.scores, strict=True)
    }
    assert scores[7] == pytest.approx(3.0)
    assert 100 not in scores
    assert parts.counts.repeats == 2


def test_too_few_rows_are_refused_with_what_there_is_and_what_is_needed():
    with pytest.raises(TrainingError) as refusal:
        split(labelled(list(range(20)), [1.0, 2.0, None, 4.0] * 5), lens(), RECIPE)
    message = str(refusal.value)
    assert "20 labelled rows (5 without a score" in message
    needed = int(message.split("about ")[1].split(" ")[0])
    # Enough of them do suffice: the advice is right.
    split(labelled(list(range(needed)), [float(n % 5) for n in range(needed)]), lens(), RECIPE)


@pytest.mark.parametrize("scores", [[], [None] * 50], ids=["no row", "no score"])
def test_nothing_rated_is_refused(scores):
    with pytest.raises(TrainingError, match="Rate more documents"):
        split(labelled(list(range(len(scores))), scores), lens(), RECIPE)


def test_a_rater_that_gives_everything_the_same_score_is_refused():
    with pytest.raises(TrainingError, match="scores are 3: there is nothing to learn"):
        split(labelled(list(range(200)), [3.0] * 200), lens(), RECIPE)


def test_a_score_that_is_not_a_number_is_refused_because_a_failure_is_null():
    with pytest.raises(TrainingError, match="1 scores are NaN"):
        split(labelled(list(range(200)), [float("nan"), *[float(n % 5) for n in range(199)]]), lens(), RECIPE)
