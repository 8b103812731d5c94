"""What is said to be decided about scores within a range is so for every score in it."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datashop_assets.condition_ranges import in_doubt
from datashop_assets.conditions import Operand, parse

CONDITIONS = (
    "edu >= 3 and code < 2",
    "edu >= 3 or code < 2",
    "not (edu < 3 or code != 1.5)",
    "1 <= code < edu <= 3",
    "edu * code - edu / 3 > 2 + code",
    "edu * edu >= 4",
    "-edu * 0.3 == code",
    "edu.int == 3 and code.int > 0",
)


def doubtful(text: str, low: dict[str, float], high: dict[str, float]) -> bool:
    condition = parse(text)
    ends = {f"{name} low": [value] for name, value in low.items()} | {f"{n} high": [v] for n, v in high.items()}
    frame = pl.DataFrame(ends, schema=dict.fromkeys(ends, pl.Float32))

    def range_of(operand: Operand) -> tuple[pl.Expr, pl.Expr]:
        return pl.col(f"{operand.column} low"), pl.col(f"{operand.column} high")

    return bool(frame.select(in_doubt(condition, range_of)).item())


@pytest.mark.parametrize(
    ("text", "edu", "code", "doubt"),
    [
        pytest.param("edu >= 3 and code < 2", (2.9, 3.1), (0.0, 1.0), True, id="a part that decides"),
        pytest.param("edu >= 3 and code < 2", (2.9, 3.1), (2.5, 3.0), False, id="false whatever the other part says"),
        pytest.param("edu >= 3 or code < 2", (2.9, 3.1), (0.0, 1.0), False, id="true whatever the other part says"),
        pytest.param("edu >= 3", (3.0, 3.1), (0.0, 0.0), False, id="at least, and no less than that"),
        pytest.param("edu > 3", (3.0, 3.1), (0.0, 0.0), True, id="more than, and perhaps just that"),
        pytest.param("edu + code > 3", (1.9, 2.0), (1.0, 1.2), True, id="a sum"),
        pytest.param("-2 * edu < -3", (1.6, 1.7), (0.0, 0.0), False, id="a negative factor"),
        pytest.param("edu == 3", (3.0, 3.0), (0.0, 0.0), False, id="a score that is known"),
        pytest.param("edu != 3", (2.9, 3.0), (0.0, 0.0), True, id="a score that may be another"),
    ],
)
def test_doubt_is_where_scores_in_the_ranges_decide_differently(
    text: str, edu: tuple[float, float], code: tuple[float, float], doubt: bool
) -> None:
    assert doubtful(text, {"edu": edu[0], "code": code[0]}, {"edu": edu[1], "code": code[1]}) is doubt


@given(
    text=st.sampled_from(CONDITIONS),
    scores=st.tuples(*[st.floats(-5, 5, width=32)] * 2),
    errors=st.tuples(*[st.floats(0, 1, width=32)] * 2),
    parts=st.tuples(*[st.floats(0, 1)] * 2),
)
def test_where_there_is_no_doubt_every_score_in_the_range_decides_alike(
    text: str, scores: tuple[float, ...], errors: tuple[float, ...], parts: tuple[float, ...]
) -> None:
    single = {name: np.float32(score) for name, score in zip(("edu", "code"), scores, strict=True)}
    low = {name: np.float32(single[name] - error) for name, error in zip(single, errors, strict=True)}
    high = {name: np.float32(single[name] + error) for name, error in zip(single, errors, strict=True)}
    inside = {
        name: min(np.float32(low[name] + part * (high[name] - low[name])), high[name])
        for name, part in zip(low, parts, strict=True)
    }
    every = {
        end: values | {f"{n}.int": np.rint(v) for n, v in values.items()}
        for end, values in {"low": low, "high": high, "score": single, "inside": inside}.items()
    }
    if not doubtful(text, every["low"], every["high"]):
        frame = pl.DataFrame([every["score"], every["inside"]], schema=dict.fromkeys(every["low"], pl.Float32))
        assert frame.select(parse(text).expression).to_series().n_unique() == 1
