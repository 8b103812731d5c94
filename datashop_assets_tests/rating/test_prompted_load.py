"""The prompted rater: how much is asked at once, how far it reads ahead, and how a rating ends."""

import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest

from datashop_assets.rating.judgement import Document
from datashop_assets.rating.lens import Chunking
from datashop_assets.rating.prompted import LOOK_AHEAD, PromptedRater
from datashop_assets.rating.questions import Question
from datashop_assets.seams import PermanentError
from datashop_assets_tests.rating.asking import GOOD, LENS, one, rater, said, settings
from datashop_assets_tests.rating.lens_for_tests import documents
from resources.raters.scripted import MemoryAnswerCache, ScriptedChatModel

# Answers that were begun come this long after a rating is told to end: well after it has heard that.
ENDING_S = 1.0


class TestLoad:
    def test_judgements_come_in_order_with_every_slot_in_use(self) -> None:
        """The answers come in reverse order within each four: nothing is answered before four are in flight."""
        together = threading.Barrier(4)

        def answer(question: Question) -> str:
            together.wait(timeout=20)
            return f'{{"rationale": "", "score": {int(said(question)) % 6}}}'

        judge = rater(answer, parallel=4)
        judgements = list(judge.rate(LENS, documents(map(str, range(16)))))
        assert [judgement.score for judgement in judgements] == [number % 6 for number in range(16)]
        assert judge.model.busiest == 4

    def test_windows_of_one_document_are_asked_about_at_once(self) -> None:
        together = threading.Barrier(3)

        def answer(_: Question) -> str:
            together.wait(timeout=20)
            return '{"score": 1}'

        lens = replace(LENS, chunking=Chunking("windows", tokens=1, windows=3), mode="score_only")
        assert one(rater(answer, parallel=3), "a b c", lens).chunks == 3

    def test_a_slow_document_at_the_head_does_not_leave_slots_idle(self) -> None:
        """The first is answered only when as many others are as the look-ahead allows."""
        others_done = threading.Semaphore(0)
        parallel = 2

        def answer(question: Question) -> str:
            if said(question) == "0":
                for _ in range(LOOK_AHEAD * parallel - 1):
                    assert others_done.acquire(timeout=20)
            else:
                others_done.release()
            return GOOD

        judgements = list(rater(answer, parallel=parallel).rate(LENS, documents(map(str, range(20)))))
        assert len(judgements) == 20

    @pytest.mark.parametrize("parallel", [1, 3])
    def test_the_stream_is_read_only_a_little_ahead(self, parallel: int) -> None:
        read = 0

        def stream() -> Iterator[Document]:
            nonlocal read
            for number in range(1000):
                read += 1
                yield Document(str(number))

        for given, _ in enumerate(rater(lambda _: GOOD, parallel=parallel).rate(LENS, stream()), start=1):
            assert read <= given + LOOK_AHEAD * parallel
        assert read == 1000

    def test_empty_documents_are_not_piled_up_behind_a_slow_one(self) -> None:
        read = 0
        go_on = threading.Event()

        def stream() -> Iterator[Document]:
            nonlocal read
            yield Document("slow")
            for _ in range(100):
                read += 1
                if read == LOOK_AHEAD - 1:
                    go_on.set()
                yield Document("")

        def answer(_: Question) -> str:
            assert go_on.wait(timeout=20)
            return GOOD

        judgements = rater(answer).rate(LENS, stream())
        assert next(judgements).score == 4.0
        assert read < LOOK_AHEAD
        assert sum(1 for _ in judgements) == 100


class TestEndings:
    def test_closing_keeps_what_was_begun_and_begins_nothing_else(self) -> None:
        cache = MemoryAnswerCache()
        begun, go_on = threading.Semaphore(0), threading.Event()

        def answer(question: Question) -> str:
            begun.release()
            if said(question) != "0":
                assert go_on.wait(timeout=20)
            return GOOD

        judge = rater(answer, cache, parallel=2)
        judgements = judge.rate(LENS, documents(map(str, range(100))))
        assert next(judgements).score == 4.0
        for _ in range(3):
            assert begun.acquire(timeout=20)
        threading.Timer(ENDING_S, go_on.set).start()
        judgements.close()
        assert {said(question) for question in judge.model.asked} == {"0", "1", "2"}
        assert len(cache.kept) == 3

    def test_closing_does_not_ask_again(self) -> None:
        begun, go_on = threading.Event(), threading.Event()

        def answer(question: Question) -> str:
            if said(question) == "0":
                return GOOD
            begun.set()
            assert go_on.wait(timeout=20)
            return "no idea"

        judge = rater(answer, attempts=3)
        judgements = judge.rate(LENS, documents(["0", "1"]))
        next(judgements)
        assert begun.wait(timeout=20)
        threading.Timer(ENDING_S, go_on.set).start()
        judgements.close()
        assert [said(question) for question in judge.model.asked] == ["0", "1"]

    @pytest.mark.parametrize("error", [PermanentError("wrong key"), ConnectionError("gone")])
    def test_an_error_of_the_endpoint_ends_the_rating_after_what_was_judged(self, error: Exception) -> None:
        def answer(question: Question) -> str:
            if said(question) == "3":
                raise error
            return GOOD

        cache = MemoryAnswerCache()
        judgements = rater(answer, cache, parallel=2).rate(LENS, documents(map(str, range(50))))
        assert [next(judgements).score for _ in range(3)] == [4.0] * 3
        with pytest.raises(type(error), match=str(error)):
            next(judgements)
        assert len(cache.kept) >= 3

    def test_a_model_that_cannot_be_started_is_started_once_and_asked_nothing(self) -> None:
        class Broken(ScriptedChatModel):
            def start(self) -> None:
                super().start()
                raise PermanentError("no such model")

        model = Broken(lambda _: GOOD, parallel=4)
        judge = PromptedRater(model, settings())
        with pytest.raises(PermanentError, match="no such model"):
            next(judge.rate(LENS, documents(map(str, range(50)))))
        assert (model.starts, model.asked) == (1, [])

    def test_the_model_is_started_once_before_all_questions(self) -> None:
        judge = rater(lambda _: GOOD, parallel=4)
        list(judge.rate(LENS, documents(map(str, range(50)))))
        assert judge.model.starts == 1

    def test_no_documents_no_judgements_no_start(self) -> None:
        judge = rater(lambda _: GOOD)
        assert (list(judge.rate(LENS, [])), judge.model.starts) == ([], 0)
