"""The batch API against a real HTTP server with files and batches: rated as one by one, and never paid for twice."""

import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from datashop_assets.project import ProjectError, RaterSettings, RatingBudget
from datashop_assets.rating import batched
from datashop_assets.rating.judgement import Document, Judgement
from datashop_assets.rating.usage import Spending
from datashop_assets.seams import PermanentError, Rater
from datashop_assets_tests.rating.lens_for_tests import documents, small_lens
from datashop_assets_tests.resources.batch_server import BatchServer, serving_batches
from datashop_assets_tests.resources.chat_server import Reply, fails, says
from resources.raters import build_rater, openai_batch
from resources.raters.answer_cache import SqlAnswerCache
from resources.raters.chat_openai import OpenAIChatModel
from resources.raters.endpoint_errors import RaterEndpointError, RaterRefusedError

LENS = small_lens()


def score(document: str, _: int) -> Reply:
    return says(json.dumps({"rationale": document, "score": int(document.removeprefix("d")) % 6}))


TEXTS = [f"d{n}" for n in range(10)]
SCORES = [float(n % 6) for n in range(10)]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openai_batch, "FIRST_PAUSE_S", 0.02)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def rater(server: BatchServer, folder: Path, **changed: Any) -> Rater:
    settings = {"backend": "openai", "model": "m", "base_url": server.base_url, "batch_api": True}
    answers = SqlAnswerCache(f"sqlite:///{folder}/answers.db")
    return build_rater(RaterSettings(**{**settings, "api_key_env": "TEST_RATER_KEY", **changed}), folder, answers)


def rate(server: BatchServer, folder: Path, texts: list[str] = TEXTS, **changed: Any) -> list[Judgement]:
    return list(rater(server, folder, **changed).rate(LENS, documents(texts)))


def under_way(folder: Path) -> list[Path]:
    return list((folder / "batches").rglob("*.json"))


def test_documents_are_judged_in_order_by_one_batch(folder: Path) -> None:
    with serving_batches(score) as server:
        judgements = rate(server, folder)
    assert [j.score for j in judgements] == SCORES
    assert [j.rationale for j in judgements] == TEXTS
    assert [(j.input_tokens, j.output_tokens, j.requests, j.cached) for j in judgements] == [(10, 3, 1, 0)] * 10
    (batch,) = server.batches.values()
    lines = [json.loads(line) for line in server.files[batch["input_file_id"]].splitlines()]
    assert {line["url"] for line in lines} == {batch["endpoint"]} == {"/v1/chat/completions"}
    assert lines[0]["body"]["response_format"]["json_schema"]["name"] == "rating"
    assert under_way(folder) == [], "what was received is forgotten"


def test_it_is_the_same_rater_as_one_by_one_and_shares_its_answers(folder: Path) -> None:
    with serving_batches(score) as server:
        assert rater(server, folder).id == rater(server, folder, batch_api=False).id
        rate(server, folder)
        judgements = rate(server, folder, batch_api=False)
        rate(server, folder)
    assert [j.score for j in judgements] == SCORES
    assert len(server.batches) == 1


def test_batches_are_bounded_and_wait_together(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openai_batch, "MOST_QUESTIONS", 4)
    with serving_batches(score) as server:
        assert [j.score for j in rate(server, folder)] == SCORES
    assert [batch["request_counts"]["total"] for batch in server.batches.values()] == [4, 4, 2]
    monkeypatch.setattr(openai_batch, "MOST_QUESTIONS", 1000)
    monkeypatch.setattr(openai_batch, "MOST_BYTES", 3000)
    with serving_batches(score) as server:
        assert [j.score for j in rate(server, folder / "again")] == SCORES
    assert len(server.batches) > 1
    assert all(len(server.files[batch["input_file_id"]]) <= 3000 for batch in server.batches.values())


@pytest.mark.parametrize(
    ("bound", "most", "sizes"),
    [
        pytest.param("TOGETHER", 4, [4, 4, 2], id="documents"),
        pytest.param("TOGETHER_CHARS", 1000, [3, 3, 3, 1], id="characters: 400 a document"),
    ],
)
def test_so_much_is_asked_about_together_and_the_next_is_read_after_it(
    bound: str, most: int, sizes: list[int], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batched, bound, most)
    read: list[str] = []

    def texts() -> Iterator[Document]:
        for text in TEXTS:
            read.append(text)
            yield Document(text + "_" * 400)

    with serving_batches(lambda document, times: score(document.rstrip("_"), times)) as server:
        judgements = rater(server, folder).rate(LENS, texts())
        first = next(judgements)
        assert len(read) == sizes[0]
        assert [j.score for j in (first, *judgements)] == SCORES
    assert [batch["request_counts"]["total"] for batch in server.batches.values()] == sizes


def test_skipped_documents_are_in_no_batch(folder: Path) -> None:
    lens = replace(LENS, min_chars=2)
    with serving_batches(score) as server:
        judgements = list(rater(server, folder).rate(lens, documents(["d1", "x", " ", "d2"])))
    assert [(j.score, j.reason) for j in judgements] == [
        (1.0, None),
        (None, "too_short"),
        (None, "empty_document"),
        (2.0, None),
    ]
    assert sorted(server.asked) == ["d1", "d2"]


def test_a_bound_on_documents_counts_those_that_were_asked_about(folder: Path) -> None:
    texts = ["", *(f"d{number}" for number in range(6))]
    spending = Spending("r", RatingBudget(documents=3))
    with serving_batches(score) as server:
        judged = []
        for judgement in rater(server, folder).rate(LENS, spending.within(documents(texts))):
            spending.book(judgement)
            judged.append(judgement)
    assert [judgement.reason for judgement in judged] == ["empty_document", None, None, None]
    assert spending.reached == "documents"


def test_one_document_twice_is_asked_about_once(folder: Path) -> None:
    with serving_batches(score) as server:
        judgements = rate(server, folder, ["d4", "d1", "d4"])
    assert [j.score for j in judgements] == [4.0, 1.0, 4.0]
    assert sorted(server.asked) == ["d1", "d4"]
    assert [j.input_tokens for j in judgements] == [10, 10, 0], "nothing is counted twice"


def test_an_unreadable_answer_is_asked_for_again_in_a_next_batch(folder: Path) -> None:
    def script(document: str, times: int) -> Reply:
        return says("Hmm") if document == "d3" and times == 1 else score(document, times)

    with serving_batches(script) as server:
        judgements = rate(server, folder)
    assert [j.score for j in judgements] == SCORES
    assert [batch["request_counts"]["total"] for batch in server.batches.values()] == [10, 1]
    assert (judgements[3].requests, judgements[3].input_tokens) == (2, 20)


@pytest.mark.parametrize(
    ("bad", "reason", "times"),
    [
        pytest.param(says("no idea"), "unparsable_answer", 3, id="never readable"),
        pytest.param(fails(400, "maximum context length is 9"), "too_long", 1, id="too long"),
        pytest.param(fails(400, "not understood"), "endpoint_error", 1, id="refused by the provider"),
        pytest.param(fails(500, "oops"), "endpoint_error", 3, id="the provider failed each time"),
        pytest.param(None, "endpoint_error", 3, id="no line in any file"),
        pytest.param((200, {"choices": []}), "endpoint_error", 3, id="another schema"),
    ],
)
def test_a_document_that_cannot_be_judged_is_null_with_the_reason(
    bad: Any, reason: str, times: int, folder: Path
) -> None:
    def script(document: str, _: int) -> Any:
        return bad if document == "d3" else score(document, _)

    with serving_batches(script) as server:
        judgements = rate(server, folder)
    assert [j.score for j in judgements] == [*SCORES[:3], None, *SCORES[4:]]
    assert judgements[3].reason == reason
    assert server.asked.count("d3") == judgements[3].requests == times
    assert server.asked.count("d4") == 1


def test_what_the_model_does_not_take_is_left_out_of_the_next_batch(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    refusal = fails(400, "response_format is not supported")
    with serving_batches(lambda d, times: refusal if times == 1 else score(d, times)) as server:
        assert [j.score for j in rate(server, folder)] == SCORES
    last = list(server.batches.values())[-1]
    assert b"response_format" not in server.files[last["input_file_id"]]
    assert caplog.text.count("does not take 'response_format'") == 1


def test_what_an_expired_batch_did_not_answer_is_sent_again_and_nothing_else(folder: Path) -> None:
    with serving_batches(score, ends=["expired"]) as server:
        assert [j.score for j in rate(server, folder)] == SCORES
    assert [batch["request_counts"]["total"] for batch in server.batches.values()] == [10, 5]
    assert sorted(server.asked) == TEXTS


@pytest.mark.parametrize(("end", "said"), [("failed", "invalid_json_line: line 1"), ("cancelled", "was cancelled")])
def test_a_batch_that_failed_or_that_a_person_cancelled_is_named(end: str, said: str, folder: Path) -> None:
    with serving_batches(score, ends=[end]) as server:
        with pytest.raises(RaterRefusedError, match=said) as error:
            rate(server, folder)
        assert "batch-0" in str(error.value)
        assert isinstance(error.value, PermanentError)
        assert [j.score for j in rate(server, folder)] == SCORES, "another run begins anew"


@pytest.mark.parametrize(
    ("server", "kind", "said"),
    [
        pytest.param({"batch_api": False}, RaterRefusedError, "set batch_api to false", id="no batch API"),
        pytest.param({"create_status": 401}, RaterRefusedError, "TEST_RATER_KEY", id="key refused"),
        pytest.param({"create_status": 400}, RaterRefusedError, "HTTP 400", id="batch refused"),
        pytest.param({"create_status": 503}, RaterEndpointError, "HTTP 503", id="out of order"),
    ],
)
def test_what_is_wrong_with_all_ends_the_run(
    server: dict[str, Any], kind: type[Exception], said: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("resources.raters.openai_clients.CLIENT_RETRIES", 0)
    with serving_batches(score, **server) as up, pytest.raises(kind, match=said) as error:
        rate(up, folder)
    assert isinstance(error.value, PermanentError) is (kind is RaterRefusedError)


def test_a_refused_model_is_for_a_person_to_mend(folder: Path) -> None:
    serving = serving_batches(lambda *_: fails(404, "no such model"))
    with serving as server, pytest.raises(RaterRefusedError, match="does not serve the model 'm'"):
        rate(server, folder)


def test_progress_is_told(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger=openai_batch.__name__)
    with serving_batches(score, polls=3) as server:
        rate(server, folder)
    assert caplog.text.count("batch batch-0: in_progress") == 1, "what has not changed is not said again"
    assert "batch batch-0: completed" in caplog.text


class StoppedError(Exception):
    """What takes the place of a kill where the process has to go on."""


class TestAKilledProcess:
    """What was sent is waited for, not sent again."""

    RATE = (
        "import sys\n"
        "from pathlib import Path\n"
        "from datashop_assets.project import RaterSettings\n"
        "from datashop_assets_tests.rating.lens_for_tests import documents, small_lens\n"
        "from resources.raters import build_rater, openai_batch\n"
        "from resources.raters.answer_cache import SqlAnswerCache\n"
        "openai_batch.FIRST_PAUSE_S = 0.05\n"
        "url, folder = sys.argv[1], Path(sys.argv[2])\n"
        "settings = RaterSettings(backend='openai', model='m', base_url=url, batch_api=True)\n"
        "rater = build_rater(settings, folder, SqlAnswerCache(f'sqlite:///{folder}/answers.db'))\n"
        "list(rater.rate(small_lens(), documents([f'd{n}' for n in range(10)])))\n"
    )

    def test_by_a_signal(self, folder: Path) -> None:
        with serving_batches(score) as server:
            server.held.set()
            process = subprocess.Popen([sys.executable, "-c", self.RATE, server.base_url, str(folder)])
            deadline = time.monotonic() + 60
            while not server.looks and time.monotonic() < deadline:
                time.sleep(0.05)
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            server.held.clear()
            assert [j.score for j in rate(server, folder)] == SCORES
        assert len(server.batches) == 1
        assert under_way(folder) == []

    def stopped_while_waiting(self, server: BatchServer, folder: Path) -> None:
        def stop(_: float) -> None:
            raise StoppedError

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("resources.raters.openai_batch.time.sleep", stop)
            with pytest.raises(StoppedError):
                rate(server, folder)
        assert len(server.batches) == 1

    def test_a_batch_that_was_sent_a_moment_before_the_kill_is_found_by_its_name(self, folder: Path) -> None:
        with serving_batches(score) as server:
            self.stopped_while_waiting(server, folder)
            (file,) = under_way(folder)
            file.write_text(json.dumps(json.loads(file.read_text()) | {"batch": None}))
            assert [j.score for j in rate(server, folder)] == SCORES
        assert len(server.batches) == 1

    def test_a_batch_that_was_announced_and_not_sent_is_sent(self, folder: Path) -> None:
        with serving_batches(score) as server:
            self.stopped_while_waiting(server, folder)
            server.batches.clear()
            (file,) = under_way(folder)
            file.write_text(json.dumps(json.loads(file.read_text()) | {"batch": None}))
            assert [j.score for j in rate(server, folder)] == SCORES
        assert len(server.batches) == 1

    def test_only_what_its_batch_does_not_hold_is_sent(self, folder: Path) -> None:
        with serving_batches(score) as server:
            self.stopped_while_waiting(server, folder)
            judgements = rate(server, folder, ["d11", "d2", "d12"])
            assert [j.score for j in judgements] == [5.0, 2.0, 0.0]
            assert [batch["request_counts"]["total"] for batch in server.batches.values()] == [10, 2]
            assert len(under_way(folder)) == 1, "the rest of its answers is still to be had"
            assert [j.score for j in rate(server, folder)] == SCORES
        assert len(server.batches) == 2
        assert under_way(folder) == []

    def test_a_batch_that_the_provider_no_longer_knows_is_sent_again(self, folder: Path) -> None:
        with serving_batches(score) as server:
            self.stopped_while_waiting(server, folder)
            (file,) = under_way(folder)
            file.write_text(json.dumps(json.loads(file.read_text()) | {"batch": "batch-of-old"}))
            assert [j.score for j in rate(server, folder)] == SCORES
        assert len(server.batches) == 2


def test_the_batch_api_is_openais(folder: Path) -> None:
    settings = RaterSettings(backend="vllm", model="m", base_url="http://h/v1", batch_api=True)
    with pytest.raises(ProjectError, match="batch_api"):
        build_rater(settings, folder)


def test_the_model_behind_it_can_be_asked_one_question_too(folder: Path) -> None:
    with serving_batches(score) as server:
        settings = RaterSettings(backend="openai", model="m", base_url=server.base_url, batch_api=True)
        assert isinstance(openai_batch.OpenAIBatchModel(settings, folder), OpenAIChatModel)
