"""How the report reads: what is not known is said, never left empty or shown as a number."""

import numpy as np
import pytest

from datashop_assets.classifier.ceiling import Ceiling, RaterPair
from datashop_assets.classifier.comparison import Comparison, not_compared
from datashop_assets.classifier.report import Quality
from datashop_assets.classifier.report_pictures import marked
from datashop_assets.classifier.report_sections import CALIBRATION, CEILING, COMPARISON, KINDS, LABELS, sections, shown
from datashop_assets.classifier.slices import CostOfCutting, Slice
from datashop_assets.classifier.thresholds import threshold_curve
from datashop_assets.estimate import Estimate
from datashop_assets.filter_settings import KeepFraction, Threshold
from datashop_assets_tests.classifier.lenses import lens

SURE = Estimate(0.5, 0.4, 0.6, 40)
CURVE = threshold_curve(np.arange(60) % 6, np.arange(60) % 6 + np.linspace(0, 0.5, 60), lens(), 50, 0)


def quality(**changes: object) -> Quality:
    nothing = {
        "slices": (),
        "cost_of_cutting": CostOfCutting(3, 40, None, None, "3 held-out documents were cut"),
        "learning_curve": None,
        "thresholds": CURVE,
        "calibration": (),
        "comparison": not_compared("none is in force yet"),
        "ceiling": Ceiling({"spearman": SURE}, (), "no other rater judged them"),
    }
    return Quality(**nothing | changes)


def test_what_is_not_known_is_said_with_its_reason() -> None:
    said = sections(quality())
    assert "3 held-out documents were cut" in said[KINDS]
    assert "No learning curve was asked for" in said[LABELS]
    assert "No calibration was asked for" in said[CALIBRATION]
    assert "none is in force yet" in said[COMPARISON]
    assert "no other rater judged them" in said[CEILING]


def test_a_kind_with_too_few_rows_has_dashes() -> None:
    slices = (Slice("source", "web", 40, {"mae": SURE, "bias": None, "spearman": SURE}), Slice("source", "law", 3, {}))
    lines = sections(quality(slices=slices))[KINDS].splitlines()
    assert lines[2] == "| source | web | 40 | 0.50 (0.40 to 0.60) | – | 0.50 (0.40 to 0.60) |"
    assert lines[3] == "| source | law | 3 | – | – | – |"


def test_a_figure_that_was_the_same_on_every_resample_has_no_known_interval() -> None:
    assert shown(Estimate(1.0, 1.0, 1.0, 20)) == "1.00 (interval not known)"


def test_raters_stand_beside_the_classifier_and_notes_beside_the_comparison() -> None:
    said = sections(
        quality(
            ceiling=Ceiling({"spearman": SURE}, (RaterPair("other", 90, {"spearman": SURE}),)),
            comparison=Comparison("old", 40, {"mae": SURE}, notes=("it learnt from another rater",)),
        )
    )
    assert said[CEILING].count("0.50 (0.40 to 0.60)") == 2
    assert "mae better (+0.500, 0.400 to 0.600)" in said[COMPARISON]
    assert "it learnt from another rater" in said[COMPARISON]


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        pytest.param(KeepFraction(keep_fraction=0.5), "`keep_fraction 0.5`", id="a share"),
        pytest.param(Threshold(lower=3), "`score >= 3`", id="a threshold"),
    ],
)
def test_the_policy_of_the_lens_is_put_into_words(policy: KeepFraction | Threshold, said: str) -> None:
    (sentence,) = marked(quality(), policy)
    assert said in sentence
    assert "precision" in sentence
