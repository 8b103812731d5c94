"""Annotating: nothing is paid for twice, nothing finished is lost, a failure is never a number."""

from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from datashop_assets.rating.annotate import ROWS, annotate, summary
from datashop_assets_tests.rating.lens_for_tests import small_lens
from resources.raters.scripted import ScriptedRater
from resources.staging import FolderProgress

LENS = small_lens()
NOTHING = pl.DataFrame(schema=ROWS)


def documents(count: int) -> pl.DataFrame:
    numbers = range(count)
    return pl.DataFrame(
        {"id": [f"d{n}" for n in numbers], "text": [f"t{n}" for n in numbers], "text_sha": [f"s{n}" for n in numbers]},
        schema={"id": pl.String, "text": pl.String, "text_sha": pl.String},
    )


@pytest.fixture
def progress(tmp_path: Path) -> FolderProgress:
    return FolderProgress(tmp_path / "staging")


def test_rows_follow_the_sample_with_scores_and_reasons(progress: FolderProgress) -> None:
    rater = ScriptedRater(lambda text: {"t0": 4.0, "t1": "refused", "t2": 0.5}[text])
    rows = annotate(documents(3), LENS, rater, NOTHING, progress)
    assert rows.schema == ROWS
    assert rows.select("id", "score", "reason").rows() == [
        ("d0", 4.0, None),
        ("d1", None, "refused"),
        ("d2", 0.5, None),
    ]
    assert set(rows["rater"]) == {"scripted"}
    assert set(rows["lens_version"]) == {LENS.version}


def test_a_larger_sample_asks_only_for_what_is_new(progress: FolderProgress) -> None:
    first = annotate(documents(3), LENS, ScriptedRater(lambda _: 2.0), NOTHING, progress)
    rater = ScriptedRater(lambda _: 5.0)
    rows = annotate(documents(5), LENS, rater, first, FolderProgress(progress.folder / "other"))
    assert rater.asked == ["t3", "t4"]
    assert rows["score"].to_list() == [2.0, 2.0, 2.0, 5.0, 5.0]


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"lens_version": "older"}, id="the lens was changed"),
        pytest.param({"rater": "someone else"}, id="another rater rated it"),
        pytest.param({"text_sha": "another text"}, id="the document's text was changed"),
        pytest.param({"score": None, "reason": "endpoint_error"}, id="the judgement had failed"),
    ],
)
def test_a_rating_that_does_not_fit_is_asked_for_again(change: dict, progress: FolderProgress) -> None:
    fitting = {
        **dict.fromkeys(ROWS),
        "rater": "scripted",
        "id": "d0",
        "text_sha": "s0",
        "score": 1.0,
        "lens_version": LENS.version,
        "rated_at": datetime(2026, 1, 1, tzinfo=UTC),
    }
    rater = ScriptedRater(lambda _: 4.0)
    kept = annotate(documents(1), LENS, rater, pl.DataFrame([fitting], schema=ROWS), progress)
    assert (rater.asked, kept["score"].to_list()) == ([], [1.0])
    changed = annotate(documents(1), LENS, rater, pl.DataFrame([{**fitting, **change}], schema=ROWS), progress)
    assert (rater.asked, changed["score"].to_list()) == (["t0"], [4.0])


def test_what_was_finished_before_an_error_is_not_asked_again(progress: FolderProgress) -> None:
    def breaks(text: str) -> float:
        if text == "t13":
            raise ConnectionError("endpoint gone")
        return 3.0

    with pytest.raises(ConnectionError, match="endpoint gone"):
        annotate(documents(20), LENS, ScriptedRater(breaks), NOTHING, progress)
    second = ScriptedRater(lambda _: 3.0)
    rows = annotate(documents(20), LENS, second, NOTHING, progress)
    assert second.asked == [f"t{n}" for n in range(13, 20)]
    assert rows["score"].to_list() == [3.0] * 20


def test_a_killed_process_loses_at_most_one_group(progress: FolderProgress) -> None:
    """A file that a kill left half-written is not read; the whole ones before it are."""
    annotate(documents(20), LENS, ScriptedRater(lambda _: 3.0), NOTHING, progress)
    last = sorted(progress.folder.glob("*.parquet"))[-1]
    last.rename(last.with_suffix(".partial"))
    second = ScriptedRater(lambda _: 3.0)
    annotate(documents(20), LENS, second, NOTHING, progress)
    assert 0 < len(second.asked) <= 8


@pytest.mark.parametrize("score", [pytest.param(5.01, id="above"), pytest.param(-1, id="below"), float("nan")])
def test_a_score_off_the_scale_never_becomes_a_row(score: float, progress: FolderProgress) -> None:
    with pytest.raises(ValueError, match="off the scale"):
        annotate(documents(1), LENS, ScriptedRater(lambda _: score), NOTHING, progress)


def test_an_empty_sample_gives_no_rows(progress: FolderProgress) -> None:
    rows = annotate(documents(0), LENS, ScriptedRater(lambda _: 1.0), NOTHING, progress)
    assert (rows.height, rows.schema) == (0, ROWS)
    assert summary(rows, LENS)["mean_score"] is None


def test_summary_counts_scores_and_failures(progress: FolderProgress) -> None:
    script = {"t0": 0.4, "t1": 4.6, "t2": 5.0, "t3": "refused", "t4": "refused", "t5": "cut_off"}
    facts = summary(annotate(documents(6), LENS, ScriptedRater(script.__getitem__), NOTHING, progress), LENS)
    assert facts["by_score"] == {"0": 1, "1": 0, "2": 0, "3": 0, "4": 0, "5": 2}
    assert facts["failed_by_reason"] == {"cut_off": 1, "refused": 2}
    assert (facts["annotations"], facts["failed"]) == (6, 3)
    assert facts["mean_score"] == pytest.approx(10 / 3)
