import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datashop_assets.classifier import metrics
from datashop_assets_tests.classifier.lenses import lens

SEEDS = st.integers(0, 2**32 - 1)


def sample(seed: int, n: int = 60) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    labels = random.choice([0, 1, 1.5, 2, 3, 4, 5], n)
    return labels, (labels * random.uniform(-1, 1) + random.normal(2, 1, n)).astype(np.float32)


def values(labels, predictions) -> dict[str, float]:
    every = np.arange(len(labels))
    return {name: metric(every) for name, metric in metrics.metrics(labels, predictions, lens()).items()}


@settings(max_examples=30, deadline=None)
@given(SEEDS)
def test_figures_agree_with_scikit_learn_and_scipy(seed):
    from scipy import stats
    from sklearn import metrics as theirs

    labels, predictions = sample(seed)
    rounded, guessed = np.clip(np.rint(labels), 0, 5), np.clip(np.rint(predictions), 0, 5)
    ours = values(labels, predictions)
    line = stats.linregress(predictions, labels)
    expected = {
        "mae": theirs.mean_absolute_error(labels, predictions),
        "rmse": theirs.root_mean_squared_error(labels, predictions),
        "spearman": stats.spearmanr(labels, predictions).statistic,
        "accuracy": theirs.accuracy_score(rounded, guessed),
        "macro_f1": theirs.f1_score(rounded, guessed, average="macro"),
        "f1_at_positive": theirs.f1_score(rounded >= 3, guessed >= 3, zero_division=np.nan),
        "precision_at_positive": theirs.precision_score(rounded >= 3, guessed >= 3, zero_division=np.nan),
        "recall_at_positive": theirs.recall_score(rounded >= 3, guessed >= 3, zero_division=np.nan),
        "auc_at_positive": theirs.roc_auc_score(rounded >= 3, predictions),
        "calibration_slope": line.slope,
        "calibration_intercept": line.intercept,
    }
    assert ours == pytest.approx(expected, rel=1e-5, abs=1e-6, nan_ok=True)
    assert np.array_equal(
        metrics.confusion(labels, predictions, lens()), theirs.confusion_matrix(rounded, guessed, labels=range(6))
    )


def test_the_confusion_matrix_starts_at_the_low_end_of_the_scale():
    matrix = metrics.confusion(np.array([1.0, 1.0, 3.0]), np.array([1.2, 9.0, -9.0]), lens(1, 3, 2))
    assert matrix.tolist() == [[1, 0, 1], [0, 0, 0], [1, 0, 0]]


@pytest.mark.parametrize(
    ("labels", "predictions", "undefined"),
    [
        ([4.0, 4.0, 5.0], [4.0, 4.5, 5.0], {"auc_at_positive"}),
        ([1.0, 4.0, 5.0], [2.0, 2.0, 2.0], {"spearman", "precision_at_positive", "calibration_slope"}),
        ([1.0, 2.0, 2.0], [1.0, 2.0, 1.0], {"auc_at_positive", "recall_at_positive", "f1_at_positive"}),
    ],
    ids=["only positives", "the same prediction for all", "only negatives"],
)
def test_a_figure_that_is_not_defined_is_null_with_a_note_and_never_a_number(labels, predictions, undefined):
    functions = metrics.metrics(np.array(labels), np.array(predictions, np.float32), lens())
    estimates, notes = metrics.bootstrap(functions, 3, 100, 0)
    null = {name for name, estimate in estimates.items() if estimate is None}
    assert undefined <= null
    assert all(any(note.startswith(f"{name} is not defined on these 3 rows") for note in notes) for name in null)
    defined = [estimate for estimate in estimates.values() if estimate is not None]
    assert np.isfinite([[e.value, e.low, e.high] for e in defined]).all()


def test_a_note_says_on_how_many_resamples_a_figure_is_undefined():
    labels = np.array([5.0, *[0.0] * 19])
    functions = metrics.metrics(labels, np.linspace(5, 0, 20, dtype=np.float32), lens())
    _, notes = metrics.bootstrap({"auc": functions["auc_at_positive"]}, 20, 1000, 0)
    # A row is missing from a resample of 20 with probability (19/20)^20 = 0.358; four standard errors are 0.061.
    missing = int(notes[0].split(" on ")[1].split(" of ")[0])
    assert missing / 1000 == pytest.approx(0.358, abs=0.061)


def test_an_interval_without_width_is_not_passed_off_as_certainty():
    labels = np.array([1.0, 4.0] * 20)
    functions = metrics.metrics(labels, labels.astype(np.float32), lens())
    estimates, notes = metrics.bootstrap({"accuracy": functions["accuracy"]}, 40, 100, 0)
    assert estimates["accuracy"].low == estimates["accuracy"].high == 1
    assert notes == ("accuracy is the same on every resample; resampling 40 rows cannot show how sure it is",)


def test_the_interval_of_a_mean_covers_it_as_often_as_it_says():
    random = np.random.default_rng(1)
    covered = 0
    for _ in range(200):
        errors = random.normal(1.0, 1.0, 80)
        estimate = metrics.bootstrap({"mean": lambda rows, e=errors: float(e[rows].mean())}, 80, 200, 0)[0]["mean"]
        assert estimate is not None
        covered += estimate.low <= 1.0 <= estimate.high
    # 95 % of 200, give or take four standard errors of 1.54 points; the percentile interval is a little narrow.
    assert 0.88 <= covered / 200 <= 1


def test_differences_are_paired_by_row():
    noise = np.random.default_rng(0).normal(0, 10, 50)
    functions = {
        "a": lambda rows: float(noise[rows].mean()),
        "difference": lambda rows: float(((noise + 0.5) - noise)[rows].mean()),
    }
    estimates, _ = metrics.bootstrap(functions, 50, 200, 0)
    assert estimates["difference"].low == pytest.approx(0.5)
    assert estimates["a"].high - estimates["a"].low > 1


@given(SEEDS, st.integers(1, 120))
@settings(max_examples=30, deadline=None)
def test_reliability_bins_hold_every_row_once_in_order_of_prediction(seed, n):
    labels, predictions = sample(seed, n)
    bins = metrics.reliability_bins(labels, predictions)
    assert sum(b.n for b in bins) == n
    assert max(b.n for b in bins) - min(b.n for b in bins) <= 1
    assert [b.prediction for b in bins] == sorted(b.prediction for b in bins)
    assert sum(b.n * b.label for b in bins) == pytest.approx(labels.sum())
