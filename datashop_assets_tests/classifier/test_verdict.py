import pytest

from datashop_assets.classifier.verdict import judge
from datashop_assets.estimate import Estimate


@pytest.mark.parametrize(
    ("low", "passed"),
    [(0.01, True), (0.0, False), (-0.2, False)],
    ids=["better beyond its interval", "the interval touches 0", "worse is possible"],
)
def test_a_classifier_passes_only_when_it_beats_the_mean_beyond_its_interval(low, passed):
    verdict = judge({"mae_gain_over_mean": Estimate(0.3, low, 0.5, 40)})
    assert verdict.passed is passed
    assert f"0.300 [{low:.3f}, 0.500] (n=40)" in verdict.reasons[0]


def test_a_gain_that_is_not_defined_does_not_pass():
    assert not judge({"mae_gain_over_mean": None}).passed


@pytest.mark.parametrize(("low", "said"), [(0.1, "beats"), (-0.1, "is not shown to beat")])
def test_the_length_baseline_is_reported_and_does_not_decide(low, said):
    verdict = judge(
        {"mae_gain_over_mean": Estimate(0.3, 0.1, 0.5, 40), "mae_gain_over_length": Estimate(0.2, low, 0.4, 40)}
    )
    assert verdict.passed
    assert verdict.reasons[1].startswith(said)
