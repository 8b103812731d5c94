"""Paired comparison of a candidate with a control, and its verdict."""

import numpy as np
import pytest

from datashop_assets.evaluation.compare import Comparison, ComparisonError, compare
from datashop_assets.evaluation.results import ModelResults, TaskResult


def accuracy(values: list[float], task: str = "quiz") -> TaskResult:
    ids = tuple(f"q{index}" for index in range(len(values)))
    return TaskResult(task, "accuracy", True, ids, tuple(values), (1.0,) * len(values))


def bits(values: list[float], sizes: list[float], task: str = "good") -> TaskResult:
    ids = tuple(f"d{index}" for index in range(len(values)))
    return TaskResult(task, "bits_per_byte", False, ids, tuple(values), tuple(sizes))


def pair(control: list[TaskResult], candidate: list[TaskResult]) -> Comparison:
    return compare(ModelResults("c", tuple(control)), ModelResults("k", tuple(candidate)))


SIZES = [100.0, 900.0, 400.0, 700.0, 250.0, 800.0]
BITS = [120.0, 800.0, 420.0, 690.0, 260.0, 790.0]


@pytest.mark.parametrize(
    ("control", "candidate", "verdict"),
    [
        pytest.param([0.0] * 50, [1.0] * 40 + [0.0] * 10, "candidate better on quiz", id="far more right answers"),
        pytest.param([1.0] * 50, [1.0] * 15 + [0.0] * 35, "candidate worse on quiz", id="far fewer right answers"),
        pytest.param([1.0, 0.0] * 25, [1.0, 0.0] * 25, "no difference shown", id="the same answers"),
        pytest.param([1.0, 0.0] * 25, [0.0, 1.0] * 25, "no difference shown", id="other answers, as many right"),
        pytest.param([0.0] * 50, [1.0] + [0.0] * 49, "no difference shown", id="one more right answer of fifty"),
        pytest.param([0.0] * 50, [1.0] * 50, "candidate better on quiz", id="every answer right instead of wrong"),
    ],
)
def test_accuracy_verdicts(control: list[float], candidate: list[float], verdict: str):
    assert pair([accuracy(control)], [accuracy(candidate)]).verdict == verdict


@pytest.mark.parametrize(
    ("factor", "verdict"),
    [
        pytest.param(0.9, "candidate better on good", id="fewer bits are better"),
        pytest.param(1.1, "candidate worse on good", id="more bits are worse"),
    ],
)
def test_lower_is_better_for_bits_per_byte(factor: float, verdict: str):
    candidate = [value * factor for value in BITS]
    assert pair([bits(BITS, SIZES)], [bits(candidate, SIZES)]).verdict == verdict


def test_a_gain_here_and_a_loss_there_is_mixed_and_names_both():
    control = [bits(BITS, SIZES, "good"), bits(BITS, SIZES, "bad")]
    candidate = [bits([x * 0.9 for x in BITS], SIZES, "good"), bits([x * 1.1 for x in BITS], SIZES, "bad")]
    assert pair(control, candidate).verdict == "mixed: candidate better on good; worse on bad"


def test_pairing_shows_a_small_steady_gain_that_the_spread_between_documents_would_hide():
    sizes = [1000.0] * 30
    control = [500.0 + 100 * index for index in range(30)]  # 0.5 to 3.4 bits per byte
    candidate = [value - 10 + index % 3 for index, value in enumerate(control)]
    task = pair([bits(control, sizes)], [bits(candidate, sizes)]).tasks[0]
    assert task.outcome == "better"
    assert task.difference == pytest.approx(-0.009)
    assert task.standard_error < 0.001


def test_for_documents_of_one_size_the_interval_is_the_paired_t_interval_of_scipy():
    from scipy.stats import ttest_rel

    rng = np.random.default_rng(1)
    control, candidate = (rng.uniform(100, 300, 60) for _ in range(2))
    task = pair([bits(list(control), [100.0] * 60)], [bits(list(candidate), [100.0] * 60)]).tasks[0]
    expected = ttest_rel(candidate / 100, control / 100).confidence_interval(0.95)
    assert (task.low, task.high) == pytest.approx((expected.low, expected.high))


def test_the_interval_of_a_ratio_has_the_width_that_resampling_documents_gives():
    rng = np.random.default_rng(2)
    sizes = rng.uniform(100, 1000, 200)
    control = sizes * rng.normal(1.0, 0.2, 200)
    candidate = control + sizes * rng.normal(-0.02, 0.1, 200)
    task = pair([bits(list(control), list(sizes))], [bits(list(candidate), list(sizes))]).tasks[0]
    draws = rng.integers(0, 200, (4000, 200))
    resampled = (candidate - control)[draws].sum(axis=1) / sizes[draws].sum(axis=1)
    assert task.standard_error == pytest.approx(resampled.std(), rel=0.1)


def test_models_that_answer_equally_well_are_seldom_called_different():
    rng = np.random.default_rng(5)
    trials, called = 600, 0
    for _ in range(trials):
        control = rng.integers(0, 2, 100).astype(float)
        other = rng.random(100) < 0.08  # the candidate answers few questions otherwise, as often better as worse
        candidate = np.where(other, rng.permutation(control), control)
        called += pair([accuracy(list(control))], [accuracy(list(candidate))]).verdict != "no difference shown"
    assert called / trials < 0.05 + 3 * (0.05 * 0.95 / trials) ** 0.5


@pytest.mark.parametrize("tasks", [1, 3])
def test_equal_models_are_called_different_in_at_most_about_one_of_twenty_comparisons(tasks: int):
    rng = np.random.default_rng(tasks)
    sizes = rng.uniform(100, 1000, 40)
    trials, called = 600, 0
    for _ in range(trials):
        control = [bits(list(sizes), list(sizes), f"t{index}") for index in range(tasks)]
        candidate = [
            bits(list(sizes * (1 + rng.normal(0, 0.05, 40))), list(sizes), f"t{index}") for index in range(tasks)
        ]
        called += pair(control, candidate).verdict != "no difference shown"
    # 0.05 and three standard errors of a share among 600 trials
    assert called / trials < 0.05 + 3 * (0.05 * 0.95 / trials) ** 0.5


def test_several_tasks_are_held_to_wider_intervals_than_one():
    noisy = [value + shift for value, shift in zip(BITS, (9, -4, 30, 2, 8, -1), strict=True)]
    one = pair([bits(BITS, SIZES)], [bits(noisy, SIZES)])
    two = pair([bits(BITS, SIZES), accuracy([1.0, 0.0])], [bits(noisy, SIZES), accuracy([1.0, 0.0])])
    width = {task.task: task.high - task.low for task in two.tasks}
    assert width["good"] > one.tasks[0].high - one.tasks[0].low


@pytest.mark.parametrize(
    ("control", "candidate"),
    [
        pytest.param([accuracy([1.0, 0.0])], [accuracy([1.0, 0.0, 1.0])], id="other samples"),
        pytest.param([accuracy([1.0, 0.0])], [accuracy([1.0, 0.0], "other")], id="other tasks"),
        pytest.param([accuracy([1.0])], [accuracy([0.0])], id="one sample alone"),
        pytest.param([bits(BITS, SIZES)], [bits(BITS, SIZES[::-1])], id="documents of other lengths"),
    ],
)
def test_what_cannot_be_paired_is_refused(control: list[TaskResult], candidate: list[TaskResult]):
    with pytest.raises(ComparisonError):
        pair(control, candidate)


def test_a_comparison_survives_json_with_its_verdict():
    comparison = pair([bits(BITS, SIZES)], [bits([x * 0.9 for x in BITS], SIZES)])
    assert Comparison.from_json(comparison.to_json()) == comparison
    assert Comparison.from_json(comparison.to_json()).verdict == "candidate better on good"


def test_the_table_shows_the_verdict_and_a_row_for_each_task():
    table = pair([bits(BITS, SIZES)], [bits([x * 0.9 for x in BITS], SIZES)]).to_markdown()
    assert table.startswith("**candidate better on good**")
    assert "| good | bits per byte (lower is better) | 6 |" in table
    assert "the same in all" not in table


def test_equal_answers_are_no_proof_of_equality_and_the_table_says_what_they_leave_possible():
    answers = [1.0, 0.0] * 50
    comparison = pair([accuracy(answers)], [accuracy(answers)])
    assert "| +0.0000 | none | [-0.0370, +0.0370] | no difference shown |" in comparison.to_markdown()
    assert (
        "quiz: the difference is the same in all 100 samples, so it has no standard error; the interval is what 100 "
        "samples leave possible." in comparison.to_markdown()
    )


@pytest.mark.parametrize("off", [0.0, 0.1])
def test_measured_differences_without_spread_have_no_interval_and_show_nothing(off: float):
    candidate = [value + off * size for value, size in zip(BITS, SIZES, strict=True)]
    comparison = pair([bits(BITS, SIZES)], [bits(candidate, SIZES)])
    again = Comparison.from_json(comparison.to_json())
    assert (again.tasks[0].low, again.tasks[0].high) == (None, None)
    assert again.verdict == comparison.verdict == "no difference shown"
    assert f"| {off:+.4f} | none | no interval | no difference shown |" in again.to_markdown()
    assert "no standard error and no interval; no difference is shown." in again.to_markdown()


def test_in_the_chart_more_is_better_for_every_metric_and_the_label_says_what_was_turned():
    control = [bits(BITS, SIZES), accuracy([0.0] * 50)]
    candidate = [bits([x * 0.9 for x in BITS], SIZES), accuracy([1.0] * 40 + [0.0] * 10)]
    comparison = pair(control, candidate)
    assert [task.outcome for task in comparison.tasks] == ["better", "better"]
    fewer_bits, more_right = comparison.gains.values()
    assert comparison.tasks[0].difference < 0 < fewer_bits.value
    for gain in (fewer_bits, more_right):
        assert gain.low is not None
        assert gain.high is not None
        assert 0 < gain.low < gain.value < gain.high
    assert list(comparison.gains) == ["good (n=6)\nbits per byte, sign flipped", "quiz (n=50)\naccuracy"]


@pytest.mark.parametrize(
    ("ids", "values", "fault"),
    [
        pytest.param(("a", "a"), (1.0, 0.0), "twice", id="a sample twice"),
        pytest.param(("a", "b"), (1.0, float("nan")), "not finite", id="a value that is no number"),
        pytest.param((), (), "at least 1", id="no samples"),
    ],
)
def test_results_that_could_mislead_are_refused(ids: tuple[str, ...], values: tuple[float, ...], fault: str):
    with pytest.raises(ValueError, match=fault):
        TaskResult("quiz", "accuracy", True, ids, values, (1.0,) * len(ids))
