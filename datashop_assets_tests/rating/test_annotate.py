"""Annotating: nothing is paid for twice, nothing finished is lost, a failure is never a number."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from datashop_assets.project import RatingBudget
from datashop_assets.rating.annotate import ROWS, SAVE_ROWS, Annotated, annotate, summary
from datashop_assets.rating.judgement import Document, Judgement
from datashop_assets.rating.lens import Lens
from datashop_assets.rating.usage import Spending
from datashop_assets.seams import Rater
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


def read(rows: pl.DataFrame) -> Iterator[Document]:
    """Document `d7` has the text `t7`."""
    for (id_,) in rows.select("id").iter_rows():
        yield Document("t" + id_[1:])


def rate(
    sampled: pl.DataFrame, rater: Rater, existing: pl.DataFrame, progress: FolderProgress, **more: object
) -> Annotated:
    return annotate(sampled, read, LENS, rater, existing.lazy, progress, **more)


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def progress(tmp_path: Path) -> FolderProgress:
    return FolderProgress(tmp_path / "staging")


def test_rows_follow_the_sample_with_scores_and_reasons(progress: FolderProgress) -> None:
    rater = ScriptedRater(lambda text: {"t0": 4.0, "t1": "refused", "t2": 0.5}[text])
    rows = rate(documents(3), rater, NOTHING, progress).rows
    assert rows.schema == ROWS
    assert rows.select("id", "score", "reason").rows() == [
        ("d0", 4.0, None),
        ("d1", None, "refused"),
        ("d2", 0.5, None),
    ]
    assert set(rows["rater"]) == {"scripted"}
    assert set(rows["lens_version"]) == {LENS.version}


def test_a_larger_sample_asks_only_for_what_is_new(progress: FolderProgress) -> None:
    first = rate(documents(3), ScriptedRater(lambda _: 2.0), NOTHING, progress).rows
    rater = ScriptedRater(lambda _: 5.0)
    done = rate(documents(5), rater, first, FolderProgress(progress.folder / "other"))
    assert rater.asked == ["t3", "t4"]
    assert done.rows["score"].to_list() == [2.0, 2.0, 2.0, 5.0, 5.0]
    assert (done.used.documents, done.left) == (2, 0)


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
    kept = rate(documents(1), rater, pl.DataFrame([fitting], schema=ROWS), progress).rows
    assert (rater.asked, kept["score"].to_list()) == ([], [1.0])
    changed = rate(documents(1), rater, pl.DataFrame([{**fitting, **change}], schema=ROWS), progress).rows
    assert (rater.asked, changed["score"].to_list()) == (["t0"], [4.0])


def test_a_label_counts_as_rated_although_it_has_no_score(progress: FolderProgress) -> None:
    class Labels(ScriptedRater):
        def rate(self, lens: Lens, documents: Iterable[Document]) -> Iterator[Judgement]:
            for document in documents:
                self.asked.append(document.text)
                yield Judgement(None, labels={"domain": ("law", "health"), "use": ()})

    rater = Labels(lambda _: 0.0)
    first = rate(documents(1), rater, NOTHING, progress).rows
    assert first["labels"].to_list() == [[{"set": "domain", "label": "law"}, {"set": "domain", "label": "health"}]]
    rate(documents(1), rater, first, FolderProgress(progress.folder / "other"))
    assert rater.asked == ["t0"]


def test_what_was_finished_before_an_error_is_not_asked_again(progress: FolderProgress) -> None:
    def breaks(text: str) -> float:
        if text == "t13":
            raise ConnectionError("endpoint gone")
        return 3.0

    with pytest.raises(ConnectionError, match="endpoint gone"):
        rate(documents(20), ScriptedRater(breaks), NOTHING, progress)
    second = ScriptedRater(lambda _: 3.0)
    rows = rate(documents(20), second, NOTHING, progress).rows
    assert second.asked == [f"t{n}" for n in range(13, 20)]
    assert rows["score"].to_list() == [3.0] * 20


def test_a_failure_that_was_kept_is_replaced_by_the_later_judgement(progress: FolderProgress) -> None:
    def breaks(text: str) -> float | str:
        if text == "t2":
            raise ConnectionError("endpoint gone")
        return "refused"

    with pytest.raises(ConnectionError):
        rate(documents(4), ScriptedRater(breaks), NOTHING, progress)
    rows = rate(documents(4), ScriptedRater(lambda text: "cut_off" if text == "t1" else 3.0), NOTHING, progress).rows
    assert sorted(rows.select("id", "score", "reason").rows()) == [
        ("d0", 3.0, None),
        ("d1", None, "cut_off"),
        ("d2", 3.0, None),
        ("d3", 3.0, None),
    ]


def test_a_killed_process_loses_at_most_one_group(progress: FolderProgress) -> None:
    """A file that a kill left half-written is not read; the whole ones before it are."""
    count = 3 * SAVE_ROWS + 5
    rate(documents(count), ScriptedRater(lambda _: 3.0), NOTHING, progress)
    last = sorted(progress.folder.glob("*.parquet"))[-2]
    last.rename(last.with_suffix(".partial"))
    second = ScriptedRater(lambda _: 3.0)
    rate(documents(count), second, NOTHING, FolderProgress(progress.folder))
    assert len(second.asked) == SAVE_ROWS


@pytest.mark.parametrize(
    ("seconds", "files"),
    [
        pytest.param(0.1, 1, id="a quick rater: one group at the end"),
        pytest.param(10.0, 5, id="a slow one: a group every 20 s"),
        pytest.param(60.0, 10, id="a very slow one: every judgement by itself"),
    ],
)
def test_slow_judgements_are_kept_before_a_group_is_full(seconds: float, files: int, progress: FolderProgress) -> None:
    clock = Clock()

    def slow(text: str) -> float:
        clock.now += seconds
        return 1.0

    rate(documents(10), ScriptedRater(slow), NOTHING, progress, clock=clock)
    assert len(list(progress.folder.glob("*.parquet"))) == files


def test_the_log_says_at_intervals_how_far_it_is_and_what_is_left(progress: FolderProgress) -> None:
    clock, said = Clock(), []

    def one_a_second(text: str) -> float:
        clock.now += 1
        return 1.0

    rate(documents(40), ScriptedRater(one_a_second), NOTHING, progress, clock=clock, log=said.append)
    assert [line.split(" rated;")[0] for line in said[1:]] == [
        "clarity: 15 of 40",
        "clarity: 30 of 40",
        "clarity: 40 of 40",
    ]
    assert "1.00 documents/s" in said[1]
    assert said[1].endswith("; 25 s left")


def test_a_rater_reads_documents_only_as_it_rates(progress: FolderProgress) -> None:
    """What is held of a large cell is what the rater holds."""
    given: list[str] = []

    def reading(rows: pl.DataFrame) -> Iterator[Document]:
        for document in read(rows):
            given.append(document.text)
            yield document

    def judge(text: str) -> float:
        assert given[-1] == text
        return 1.0

    annotate(documents(30), reading, LENS, ScriptedRater(judge), NOTHING.lazy, progress)
    assert len(given) == 30


def test_a_budget_ends_the_rating_and_keeps_what_was_rated(progress: FolderProgress) -> None:
    rater = ScriptedRater(lambda _: 3.0)
    spending = Spending("served", RatingBudget(documents=7))
    done = rate(documents(20), rater, NOTHING, progress, spending=spending)
    assert (len(rater.asked), done.rows.height, done.left) == (7, 7, 13)
    rest = rate(documents(20), rater, done.rows, progress, spending=Spending("served", RatingBudget(documents=13)))
    assert (rater.asked, rest.left) == ([f"t{n}" for n in range(20)], 0)


class Short(ScriptedRater):
    """Leaves the last document out."""

    def rate(self, lens: Lens, documents: Iterable[Document]) -> Iterator[Judgement]:
        yield from list(super().rate(lens, documents))[:-1]


@pytest.mark.parametrize("budget", [pytest.param(None, id="no budget"), pytest.param(3, id="at the budget")])
def test_a_rater_that_gives_too_few_judgements_is_an_error(budget: int | None, progress: FolderProgress) -> None:
    spending = Spending("short", RatingBudget(documents=budget))
    with pytest.raises(ValueError, match=r"gave \d judgements for 5 documents"):
        rate(documents(5), Short(lambda _: 3.0), NOTHING, progress, spending=spending)


def test_an_interrupted_rater_is_closed_at_once_and_what_it_gave_is_kept(progress: FolderProgress) -> None:
    """Its threads must not go on asking, and paying, while the run's process still lives."""
    closed: list[bool] = []

    class Threaded(ScriptedRater):
        def rate(self, lens: Lens, documents: Iterable[Document]) -> Iterator[Judgement]:
            try:
                yield from super().rate(lens, documents)
            finally:
                closed.append(True)

    def judge(text: str) -> float:
        clock.now += 20
        return 3.0

    def cancelled(line: str) -> None:
        if "3 of 9 rated" in line:
            raise KeyboardInterrupt

    clock = Clock()
    rater = Threaded(judge)
    with pytest.raises(KeyboardInterrupt):
        rate(documents(9), rater, NOTHING, progress, log=cancelled, clock=clock)
    assert closed
    kept = progress.scan()
    assert kept is not None
    assert kept.collect()["id"].to_list() == ["d0", "d1", "d2"]
    assert len(rater.asked) == 3


class TestTwoRunsOfOneCell:
    """The second is begun, and sometimes ends, while the first one rates."""

    COUNT = 110

    def test_both_end_with_every_judgement(self, progress: FolderProgress) -> None:
        other = FolderProgress(progress.folder)
        done: list[Annotated] = []

        def judge(text: str) -> float:
            if text == "t70":
                done.append(rate(documents(self.COUNT), ScriptedRater(lambda _: 3.0), NOTHING, other))
            return 3.0

        first = rate(documents(self.COUNT), ScriptedRater(judge), NOTHING, progress)
        assert [(each.rows.height, each.left) for each in (first, *done)] == [(self.COUNT, 0)] * 2

    def test_what_the_other_one_committed_and_cleared_is_taken_over(self, progress: FolderProgress) -> None:
        other = FolderProgress(progress.folder)
        committed = NOTHING

        def judge(text: str) -> float:
            nonlocal committed
            if text == "t70":
                committed = rate(documents(self.COUNT), ScriptedRater(lambda _: 3.0), NOTHING, other).rows
                other.clear()
            return 3.0

        rater = ScriptedRater(judge)
        done = annotate(documents(self.COUNT), read, LENS, rater, lambda: committed.lazy(), progress)
        assert (done.rows["id"].n_unique(), done.rows.height, done.left) == (self.COUNT, self.COUNT, 0)
        assert len(rater.asked) == self.COUNT, "nothing was asked twice"

    def test_what_vanished_is_rated_again(self, progress: FolderProgress) -> None:
        def judge(text: str) -> float:
            if text == "t70":
                for file in progress.folder.glob("*.parquet"):
                    file.unlink()
            return 3.0

        rater = ScriptedRater(judge)
        done = rate(documents(self.COUNT), rater, NOTHING, progress)
        assert (done.rows["id"].n_unique(), done.rows.height, done.left) == (self.COUNT, self.COUNT, 0)
        assert len(rater.asked) == done.used.documents == self.COUNT + SAVE_ROWS

    def test_what_vanished_beyond_the_budget_is_left(self, progress: FolderProgress) -> None:
        def judge(text: str) -> float:
            if text == "t70":
                for file in progress.folder.glob("*.parquet"):
                    file.unlink()
            return 3.0

        spending = Spending("served", RatingBudget(documents=self.COUNT))
        done = rate(documents(self.COUNT), ScriptedRater(judge), NOTHING, progress, spending=spending)
        assert (done.rows.height, done.left) == (self.COUNT - SAVE_ROWS, SAVE_ROWS)

    def test_rows_that_vanish_again_and_again_are_an_error(self, progress: FolderProgress) -> None:
        class Sieve(FolderProgress):
            def append(self, rows: pl.DataFrame) -> None:
                pass

        with pytest.raises(RuntimeError, match="5 judgements were kept and are gone"):
            rate(documents(5), ScriptedRater(lambda _: 3.0), NOTHING, Sieve(progress.folder))


@pytest.mark.parametrize("score", [pytest.param(5.01, id="above"), pytest.param(-1, id="below"), float("nan")])
def test_a_score_off_the_scale_never_becomes_a_row(score: float, progress: FolderProgress) -> None:
    with pytest.raises(ValueError, match="off the scale"):
        rate(documents(1), ScriptedRater(lambda _: score), NOTHING, progress)
    assert progress.scan() is None


def test_an_empty_sample_gives_no_rows(progress: FolderProgress) -> None:
    rows = rate(documents(0), ScriptedRater(lambda _: 1.0), NOTHING, progress).rows
    assert (rows.height, rows.schema) == (0, ROWS)
    assert summary(rows, LENS)["mean_score"] is None


def test_summary_counts_scores_and_failures(progress: FolderProgress) -> None:
    script = {"t0": 0.4, "t1": 4.6, "t2": 5.0, "t3": "refused", "t4": "refused", "t5": "cut_off"}
    facts = summary(rate(documents(6), ScriptedRater(script.__getitem__), NOTHING, progress).rows, LENS)
    assert facts["by_score"] == {"0": 1, "1": 0, "2": 0, "3": 0, "4": 0, "5": 2}
    assert facts["failed_by_reason"] == {"cut_off": 1, "refused": 2}
    assert (facts["annotations"], facts["failed"], facts["failed_share"]) == (6, 3, 0.5)
    assert facts["mean_score"] == pytest.approx(10 / 3)


def test_documents_that_were_skipped_are_no_failures_and_are_not_tried_again(progress: FolderProgress) -> None:
    script = {"t0": 4.0, "t1": "refused", "t2": "too_short", "t3": "empty_document"}
    rows = rate(documents(4), ScriptedRater(script.__getitem__), NOTHING, progress).rows
    facts = summary(rows, LENS)
    assert (facts["skipped"], facts["failed"], facts["failed_share"]) == (2, 1, 0.5)
    assert facts["failed_by_reason"] == {"refused": 1}
    again = ScriptedRater(script.__getitem__)
    rate(documents(4), again, rows, FolderProgress(progress.folder / "other"))
    assert again.asked == ["t1"]


def test_a_cell_of_skipped_documents_alone_has_no_failures(progress: FolderProgress) -> None:
    facts = summary(rate(documents(2), ScriptedRater(lambda _: "too_short"), NOTHING, progress).rows, LENS)
    assert (facts["skipped"], facts["failed"], facts["failed_share"]) == (2, 0, 0.0)
