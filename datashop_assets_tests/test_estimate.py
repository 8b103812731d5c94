"""How figures read."""

import pytest

from datashop_assets.estimate import Estimate


@pytest.mark.parametrize(
    ("figure", "interval", "sentence"),
    [
        pytest.param(Estimate(0.61, 0.4, 0.75, 57), "0.400 to 0.750", "0.610 [0.400, 0.750] (n=57)", id="measured"),
        pytest.param(Estimate(1, 1, 1, 57), "not known", "1.000 [interval not known] (n=57)", id="never differed"),
    ],
)
def test_no_figure_claims_a_certainty_that_its_rows_do_not_give(figure: Estimate, interval: str, sentence: str) -> None:
    assert (figure.interval, str(figure)) == (interval, sentence)
