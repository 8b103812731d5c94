import base64
import io
import re

import numpy as np
import pytest

from datashop_assets import plots, quality_plots
from datashop_assets.classifier.learning_curve import CurvePoint
from datashop_assets.classifier.metrics import reliability_bins
from datashop_assets.classifier.thresholds import threshold_curve
from datashop_assets.estimate import Estimate
from datashop_assets.evaluation.compare import Gain
from datashop_assets_tests.classifier.lenses import lens

RNG = np.random.default_rng(0)
LABELS = RNG.integers(0, 6, 300).astype(float)
PREDICTIONS = LABELS * 0.8 + RNG.normal(0, 0.7, 300)
THRESHOLDS = threshold_curve(LABELS, PREDICTIONS, lens(), 100, 0)
LEARNT = [CurvePoint(200, 5, 0.8, 0.05, 0.6, 0.02), CurvePoint(400, 1, 0.7, None, None, None)]
LOSSES = [(float(step), 3 - 0.01 * step) for step in range(200)]
PICTURES = {
    "confusion": lambda: plots.confusion_matrix([[100, 20, 3], [4, 0, 6], [0, 0, 0]], 1),
    "reliability": lambda: plots.reliability(reliability_bins(LABELS, PREDICTIONS), 0, 5),
    "dots": lambda: plots.predicted_vs_label(LABELS, PREDICTIONS, 0, 5),
    "histogram": lambda: plots.histogram(PREDICTIONS, lines={"cut-off": 3.1}),
    "histograms": lambda: plots.histograms({"kept": PREDICTIONS, "dropped": PREDICTIONS[:9], "none": []}),
    "losses": lambda: plots.loss_curves({"control": LOSSES, "candidate": LOSSES[::2]}),
    "comparison": lambda: plots.comparison_chart({f"task {n}\nbits": Gain(0.1 * n, -0.1, 0.5) for n in range(8)}),
    "without interval": lambda: plots.comparison_chart({"task": Gain(0.1, None, None)}),
    "nothing scored": lambda: plots.histogram([]),
    "one value": lambda: plots.histogram([2.0, 2.0]),
    "no curve": lambda: plots.loss_curves({}),
    "no task": lambda: plots.comparison_chart({}),
    "thresholds": lambda: quality_plots.threshold_curve(THRESHOLDS, {"keep_fraction 0.1": 0.1}),
    "no threshold": lambda: quality_plots.threshold_curve([], {}),
    "learning curve": lambda: quality_plots.learning_curve(LEARNT),
    "one point learnt": lambda: quality_plots.learning_curve(LEARNT[1:]),
    "calibrations": lambda: quality_plots.reliabilities(
        {"as it is": reliability_bins(LABELS, PREDICTIONS), "after": reliability_bins(LABELS, LABELS)}
    ),
    "no calibration": lambda: quality_plots.reliabilities({}),
    "slices": lambda: quality_plots.by_slice({f"length: {n}": Estimate(0.5, 0.4, 0.7, 30) for n in range(4)}, 0.5),
    "no slice": lambda: quality_plots.by_slice({}, None),
}

NAMES = [f"a label of some length, number {n}" for n in range(21)]
HIGH_PICTURES = {
    "bars": lambda: plots.share_bars({label: Estimate(0.3, 0.1, 0.5, 40) for label in NAMES}, "Top labels"),
    "one bar": lambda: plots.share_bars({"label": Estimate(0.0, 0.0, 0.3, 9)}, "Top labels"),
    "no bar": lambda: plots.share_bars({}, "Top labels"),
    "map": lambda: plots.share_map([[0.1 * n % 1, None, 0.5] for n in range(21)], NAMES, ["a", "b", "c"], "By dataset"),
    "map of zeros": lambda: plots.share_map([[0.0, 0.0]], ["label"], ["a", "b"], "By dataset"),
    "funnel": lambda: plots.funnel({"documents": 1600, "scored": 1500, "kept": 400}, "Documents left"),
    "funnel of nothing": lambda: plots.funnel({"documents": 0, "kept": 0}, "Documents left"),
    "no funnel": lambda: plots.funnel({}, "Documents left"),
    "map of nothing": lambda: plots.share_map([], [], [], "By dataset"),
}


@pytest.mark.parametrize("name", HIGH_PICTURES)
def test_lists_are_as_high_as_their_rows_need(name):
    from PIL import Image

    png = HIGH_PICTURES[name]()
    with Image.open(io.BytesIO(png)) as image:
        assert (image.format, image.width) == ("PNG", 480)
        assert image.height == (500 if name in ("bars", "map") else 320)
        assert len(image.convert("RGB").getcolors(maxcolors=480 * 500)) > 2, "the picture is blank"
    assert len(png) < 40_000


@pytest.mark.parametrize("name", PICTURES)
def test_every_picture_is_a_small_png(name):
    from PIL import Image

    png = PICTURES[name]()
    with Image.open(io.BytesIO(png)) as image:
        assert (image.format, image.size) == ("PNG", (480, 320))
        assert len(image.convert("RGB").getcolors(maxcolors=480 * 320)) > 2, "the picture is blank"
    assert len(png) < 40_000


def test_a_difference_whose_interval_holds_zero_is_drawn_grey():
    from PIL import Image

    def holds(png: bytes, colour: str) -> bool:
        wanted = tuple(int(colour[at : at + 2], 16) for at in (1, 3, 5))
        with Image.open(io.BytesIO(png)) as image:
            return wanted in {colour for _, colour in image.convert("RGB").getcolors(maxcolors=480 * 320)}

    assert holds(plots.comparison_chart({"mmlu": Gain(0.1, -0.1, 0.3)}), plots.GREY)
    assert holds(plots.comparison_chart({"mmlu": Gain(0.2, 0.1, 0.3)}), plots.BLUE)
    assert not holds(plots.comparison_chart({"mmlu": Gain(0.2, None, None)}), plots.BLUE)


def test_markdown_carries_the_picture_itself():
    found = re.fullmatch(
        r"!\[scores \(all\)\]\(data:image/png;base64,(.+)\)", plots.markdown_image(b"\x89PNG", "scores [all]")
    )
    assert found
    assert base64.b64decode(found[1]) == b"\x89PNG"
