"""A run's budget is one, whatever attempts the run takes; a bound is passed by what is in flight and no more."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from datashop_assets.project import Price, RatingBudget
from datashop_assets.rating.annotate import ROWS, annotate
from datashop_assets.rating.judgement import Document
from datashop_assets.rating.lens import Chunking
from datashop_assets.rating.questions import Question, QuestionError, Reply
from datashop_assets.rating.run import RatingRun
from datashop_assets.rating.usage import Spending
from datashop_assets.seams import Progress
from datashop_assets_tests.rating.asking import GOOD, LENS, rater, said
from resources.lake import DeltaLake
from resources.raters.scripted import MemoryAnswerCache, ScriptedRater
from resources.staging import FolderProgress

PRICE = Price(input=1.0, output=1.0)
NOTHING = pl.DataFrame(schema=ROWS)


def documents(count: int) -> pl.DataFrame:
    return pl.DataFrame({"id": [f"d{n}" for n in range(count)], "text_sha": [f"s{n}" for n in range(count)]})


def read(rows: pl.DataFrame) -> Iterator[Document]:
    """Document `d7` has the text `t7`."""
    return (Document("t" + id_[1:]) for id_ in rows["id"])


class TestAttempts:
    @pytest.fixture
    def home(self, tmp_path: Path) -> Path:
        return tmp_path

    def attempt(self, home: Path, run_id: str = "run-1", asset: str = "annotations") -> RatingRun:
        """The run as another process would begin it."""

        def staging(*names: str) -> Progress:
            return FolderProgress(home.joinpath("staging", *names))

        return RatingRun(DeltaLake(str(home / "lake")), staging, {"run_id": run_id, "asset": asset}, lambda _: None)

    def rate(self, run: RatingRun, home: Path, breaks_at: int | None, name: str = "served") -> list[str]:
        """What was asked of a rater whose endpoint is gone at the document of that number."""

        def judge(text: str) -> float:
            if text == f"t{breaks_at}":
                raise ConnectionError("gone")
            return 3.0

        asked = ScriptedRater(judge)
        progress = FolderProgress(home / "cell")
        spending = run.spending(name, RatingBudget(documents=7), PRICE)
        try:
            annotate(documents(20), read, LENS, asked, NOTHING.lazy, progress, spending)
        except ConnectionError:
            return asked.asked[:-1]
        return asked.asked

    def test_together_they_have_the_budget_once(self, home: Path) -> None:
        assert len(self.rate(self.attempt(home), home, breaks_at=3)) == 3
        assert len(self.rate(self.attempt(home), home, breaks_at=5)) == 2
        assert len(self.rate(self.attempt(home), home, breaks_at=None)) == 2
        assert self.rate(self.attempt(home), home, breaks_at=None) == []

    @pytest.mark.parametrize(
        "other",
        [
            pytest.param({"run_id": "run-2"}, id="another run"),
            pytest.param({"asset": "document_labels"}, id="another asset of the run"),
            pytest.param({"name": "cheap"}, id="another rater"),
        ],
    )
    def test_has_its_own(self, other: dict[str, str], home: Path) -> None:
        self.rate(self.attempt(home), home, breaks_at=None)
        name = other.pop("name", "served")
        assert len(self.rate(self.attempt(home, **other), home, None, name)) == 7

    def test_what_was_spent_is_forgotten_when_no_attempt_follows(self, home: Path) -> None:
        run = self.attempt(home)
        self.rate(run, home, breaks_at=None)
        run.forget_spendings()
        assert list((home / "staging" / "spent").iterdir()) == []

    def test_answers_that_were_paid_for_behind_a_lost_one_count(self, home: Path) -> None:
        """They are in the cache, and cost nothing again: to forget them would be to pay for others instead."""
        others = threading.Semaphore(0)

        def answer(question: Question) -> Reply:
            if said(question) == "t0":
                for _ in range(3):
                    assert others.acquire(timeout=20)
                raise ConnectionError("gone")
            others.release()
            return Reply(GOOD, input_tokens=100)

        spending = self.attempt(home).spending("served", RatingBudget(tokens=1000), PRICE)
        judge = rater(answer, MemoryAnswerCache(), parallel=4)
        with pytest.raises(ConnectionError):
            annotate(documents(20), read, LENS, judge, NOTHING.lazy, FolderProgress(home / "cell"), spending)
        again = self.attempt(home).spending("served", RatingBudget(tokens=1000), PRICE)
        assert again.spent.tokens >= 300
        assert again.in_flight == 0


class TestBounds:
    """A prompted rater reads ahead; at a bound on tokens or cost it begins nothing more."""

    @pytest.mark.parametrize("bound", [pytest.param("tokens", id="tokens"), pytest.param("cost", id="cost")])
    @pytest.mark.parametrize("parallel", [1, 8])
    def test_no_more_than_what_is_in_flight_is_asked(self, parallel: int, bound: str, tmp_path: Path) -> None:
        spending = Spending("served", RatingBudget(**{bound: 1e-9 if bound == "cost" else 1}), PRICE)
        judge = rater(lambda _: Reply(GOOD, input_tokens=50, output_tokens=50), parallel=parallel)
        done = annotate(documents(100), read, LENS, judge, NOTHING.lazy, FolderProgress(tmp_path), spending)
        assert 1 <= len(judge.model.asked) <= parallel
        assert done.rows.height == len(judge.model.asked), "what was asked is judged"
        assert (done.left, spending.in_flight, spending.reached) == (100 - done.rows.height, 0, bound)

    @pytest.mark.parametrize("parallel", [1, 8])
    def test_the_bound_is_used_up_before_it_ends(self, parallel: int, tmp_path: Path) -> None:
        spending = Spending("served", RatingBudget(tokens=2000))
        judge = rater(lambda _: Reply(GOOD, input_tokens=100), parallel=parallel)
        done = annotate(documents(100), read, LENS, judge, NOTHING.lazy, FolderProgress(tmp_path), spending)
        assert 20 <= done.rows.height < 20 + parallel
        assert done.rows["id"].to_list() == [f"d{n}" for n in range(done.rows.height)], "from the beginning, no gaps"

    def test_a_document_of_which_a_part_was_asked_is_judged_whole(self, tmp_path: Path) -> None:
        lens = replace(LENS, chunking=Chunking("windows", tokens=1, windows=4), mode="score_only")

        def long(_: pl.DataFrame) -> Iterator[Document]:
            return (Document("a b c d") for _ in range(10))

        spending = Spending("served", RatingBudget(tokens=1))
        judge = rater(lambda _: Reply('{"score": 4}', input_tokens=10), parallel=2)
        done = annotate(documents(10), long, lens, judge, NOTHING.lazy, FolderProgress(tmp_path), spending)
        assert 1 <= done.rows.height <= 2
        assert len(judge.model.asked) == 4 * done.rows.height

    def test_failed_questions_use_up_the_budget_too(self, tmp_path: Path) -> None:
        def fail(_: Question) -> Reply:
            raise QuestionError("endpoint_error", "broken", requests=3, input_tokens=100)

        spending = Spending("served", RatingBudget(tokens=500))
        judge = rater(fail)
        done = annotate(documents(100), read, LENS, judge, NOTHING.lazy, FolderProgress(tmp_path), spending)
        assert len(judge.model.asked) == 5
        assert (done.used.requests, done.used.retries, done.used.input_tokens) == (15, 10, 500)
        assert set(done.rows["reason"]) == {"endpoint_error"}

    def test_without_a_bound_every_slot_is_used(self, tmp_path: Path) -> None:
        together = threading.Barrier(4)

        def answer(_: Question) -> str:
            together.wait(timeout=20)
            return GOOD

        judge = rater(answer, parallel=4)
        spending = Spending("served", RatingBudget(tokens=10**9))
        done = annotate(documents(16), read, LENS, judge, NOTHING.lazy, FolderProgress(tmp_path), spending)
        assert (done.rows.height, judge.model.busiest) == (16, 4)
