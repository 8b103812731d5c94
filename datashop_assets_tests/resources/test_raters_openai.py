"""A rater over a served model against a real HTTP server: what is judged, asked again, and never paid twice."""

import logging
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from datashop_assets.project import RaterSettings
from datashop_assets.rating.prompted import PromptedRater
from datashop_assets_tests.rating.lens_for_tests import documents, small_lens
from datashop_assets_tests.resources.chat_server import ChatServer, Reply, fails, says, serving
from resources.raters import build_rater, openai_clients
from resources.raters.answer_cache import SqlAnswerCache
from resources.raters.endpoint_errors import RaterEndpointError, RaterRefusedError

LENS = small_lens()
FOUR = says('{"rationale": "clear", "score": 4}')


def rater(server: ChatServer | str, kept: SqlAnswerCache | None = None, **changed: Any) -> PromptedRater:
    url = server if isinstance(server, str) else server.base_url
    settings = {"backend": "openai", "model": "org/tiny-model", "base_url": url, "api_key_env": "TEST_RATER_KEY"}
    built = build_rater(RaterSettings(**{**settings, "timeout_s": 5, "away_s": 0, **changed}), Path("/nowhere"), kept)
    assert isinstance(built, PromptedRater)
    return built


@pytest.fixture
def answers(tmp_path: Path) -> SqlAnswerCache:
    return SqlAnswerCache(f"sqlite:///{tmp_path / 'answers.db'}")


def test_a_good_answer_becomes_a_score_with_its_rationale() -> None:
    with serving(lambda *_: FOUR) as server:
        (judgement,) = rater(server).rate(LENS, documents(["a document"]))
    assert (judgement.score, judgement.reason, judgement.rationale) == (4.0, None, "clear")
    assert (judgement.input_tokens, judgement.output_tokens) == (10, 3)
    (request,) = server.requests
    assert request["response_format"]["json_schema"]["schema"]["properties"]["score"]["maximum"] == 5


def test_a_malformed_answer_is_really_asked_again() -> None:
    with serving(lambda _, times: says("Hmm, let me think") if times == 1 else FOUR) as server:
        (judgement,) = rater(server, temperature=0.0).rate(LENS, documents(["x"]))
    assert judgement.score == 4.0
    assert judgement.input_tokens == 20, "both generations are paid for"
    first, second = server.requests
    assert second["temperature"] > first["temperature"]
    assert second["seed"] != first["seed"]


@pytest.mark.parametrize(
    ("reply", "reason", "generations"),
    [
        pytest.param(says("no idea"), "unparsable_answer", 3, id="never readable"),
        pytest.param(says('{"score": 9}'), "off_scale", 3, id="off the scale is not clipped"),
        pytest.param(says('{"rationale": "and so', finish="length"), "cut_off", 3, id="answer budget used up"),
        pytest.param(says(None, refusal="I can't help with that"), "refused", 3, id="refusal"),
        pytest.param(fails(400, "maximum context length is 2048"), "too_long", 1, id="document too long"),
        pytest.param((200, ["not", "a completion"]), "endpoint_error", 3, id="not a chat completion"),
    ],
)
def test_a_document_that_cannot_be_judged_is_null_with_the_reason(reply: Reply, reason: str, generations: int) -> None:
    with serving(lambda document, _: reply if document == "bad" else FOUR) as server:
        judgements = list(rater(server, attempts=3).rate(LENS, documents(["good", "bad", "also good"])))
    assert [j.score for j in judgements] == [4.0, None, 4.0]
    assert judgements[1].reason == reason
    assert judgements[1].raw
    assert len(server.asked("bad")) == generations


def test_a_busy_server_is_waited_for_and_that_is_counted() -> None:
    with serving(lambda _, times: fails(429, "slow down") if times < 3 else FOUR) as server:
        (judgement,) = rater(server).rate(LENS, documents(["x"]))
    assert judgement.score == 4.0
    assert judgement.requests == 3


def test_an_empty_document_costs_nothing() -> None:
    with serving(lambda *_: FOUR) as server:
        (judgement,) = rater(server).rate(LENS, documents([" \n\t"]))
    assert judgement.reason == "empty_document"
    assert server.requests == []


def test_a_hanging_request_fails_its_document_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openai_clients, "CLIENT_RETRIES", 0)
    release = threading.Event()

    def script(document: str, _: int) -> Reply:
        if document == "hangs":
            release.wait(10)
        return FOUR

    with serving(script) as server:
        judgements = list(rater(server, timeout_s=0.5).rate(LENS, documents(["a", "hangs", "b"])))
        release.set()
    assert [j.score for j in judgements] == [4.0, None, 4.0]
    assert judgements[1].reason == "endpoint_error"
    assert "Timeout" in (judgements[1].raw or "")


def test_a_refused_key_ends_the_run_and_is_not_shown(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("TEST_RATER_KEY", "sk-very-secret")
    caplog.set_level(logging.DEBUG)
    with serving(lambda *_: fails(401, "bad key sk-very-secret")) as server:
        asked = rater(server)
        with pytest.raises(RaterRefusedError, match="TEST_RATER_KEY") as error:
            list(asked.rate(LENS, documents(["x"])))
    assert "sk-very-secret" not in f"{error.value!r} {asked!r} {vars(asked)} {asked.id} {caplog.text}"


def test_a_key_that_the_server_quotes_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_RATER_KEY", "sk-very-secret")
    with serving(lambda *_: fails(400, "bad request by sk-very-secret")) as server:
        (judgement,) = rater(server).rate(LENS, documents(["x"]))
    assert judgement.reason == "endpoint_error"
    assert "sk-very-secret" not in str(judgement)


def test_a_key_that_the_tokenizer_of_a_server_quotes_is_not_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("TEST_RATER_KEY", "sk-very-secret")
    lens = replace(LENS, mode="expected_score")
    with serving(lambda *_: FOUR) as server, pytest.raises(RaterRefusedError, match="gives no probabilities"):
        list(rater(server, backend="vllm").rate(lens, documents(["x"])))
    assert "does not tell the tokens of the levels" in caplog.text
    assert "no such page" in caplog.text
    assert "sk-very-secret" not in caplog.text


def test_an_endpoint_that_dies_ends_the_run_before_documents_are_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openai_clients, "CLIENT_RETRIES", 0)
    with serving(lambda *_: fails(502, "no worker") if server.models_status == 502 else FOUR) as server:
        judgements = rater(server, parallel=2).rate(LENS, documents([f"d{n}" for n in range(100)]))
        next(judgements)
        server.models_status = 502
        with pytest.raises(RaterEndpointError, match="HTTP 502") as error:
            list(judgements)
        assert not isinstance(error.value, RaterRefusedError), "it may be mended the next time"


def test_answers_come_in_order_with_several_questions_in_flight() -> None:
    lock, now, most = threading.Lock(), [0], [0]

    def script(document: str, _: int) -> Reply:
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        time.sleep(0.15 if document.endswith("0") else 0.02)
        with lock:
            now[0] -= 1
        return says(f'{{"rationale": "{document}", "score": 3}}')

    texts = [f"d{n}" for n in range(24)]
    with serving(script) as server:
        judgements = list(rater(server, parallel=4).rate(LENS, documents(texts)))
    assert [j.rationale for j in judgements] == texts
    assert 1 < most[0] <= 4


@pytest.mark.parametrize(
    ("change", "same"),
    [
        pytest.param({"base_url": "http://elsewhere:1/v1"}, True, id="another place"),
        pytest.param({"parallel": 99, "timeout_s": 7}, True, id="other pace"),
        pytest.param({"api_key_env": "OTHER_KEY"}, True, id="another key"),
        pytest.param({"batch_api": True}, True, id="the batch API"),
        pytest.param({"model": "org/other-model"}, False, id="another model"),
        pytest.param({"temperature": 0.7}, False, id="another temperature"),
        pytest.param({"max_tokens": 50}, False, id="another answer budget"),
    ],
)
def test_the_id_changes_with_what_changes_judgements(change: dict[str, Any], same: bool) -> None:
    first = rater("http://here:1/v1")
    assert (rater("http://here:1/v1", **change).id == first.id) is same
    assert first.id.startswith("tiny-model-")


class TestTheCache:
    """Requests are counted where they arrive."""

    def test_what_was_answered_is_not_asked_again_by_anyone(self, answers: SqlAnswerCache) -> None:
        texts = [f"d{n}" for n in range(20)]
        with serving(lambda *_: FOUR) as server:
            before = list(rater(server, answers).rate(LENS, documents(texts)))
            server.requests.clear()
            other = rater(server, SqlAnswerCache(str(answers.url)), parallel=3)
            after = list(other.rate(replace(LENS, name="renamed"), documents(reversed(texts))))
        assert server.requests == []
        assert [j.score for j in after] == [j.score for j in before] == [4.0] * 20
        assert [(j.requests, j.cached, j.input_tokens) for j in after] == [(0, 1, 0)] * 20

    def test_no_server_is_needed_for_what_is_kept(self, answers: SqlAnswerCache) -> None:
        with serving(lambda *_: FOUR) as server:
            list(rater(server, answers).rate(LENS, documents(["x"])))
        (judgement,) = rater(server, answers).rate(LENS, documents(["x"]))
        assert judgement.score == 4.0

    def test_a_rating_that_stopped_half_way_asks_only_for_the_rest(self, answers: SqlAnswerCache) -> None:
        texts = [f"d{n}" for n in range(30)]
        with serving(lambda *_: FOUR) as server:
            judgements = rater(server, answers, parallel=2).rate(LENS, documents(texts))
            for _ in range(10):
                next(judgements)
            judgements.close()  # type: ignore[attr-defined]
            asked = len(server.requests)
            assert 10 <= asked < 30
            assert len(list(rater(server, answers).rate(LENS, documents(texts)))) == 30
        assert len(server.requests) == 30, "each document was asked about once"

    def test_failures_are_not_kept(self, answers: SqlAnswerCache) -> None:
        with serving(lambda _, times: says("no idea") if times <= 3 else FOUR) as server:
            (failed,) = rater(server, answers).rate(LENS, documents(["x"]))
            (judged,) = rater(server, answers).rate(LENS, documents(["x"]))
        assert (failed.reason, judged.score) == ("unparsable_answer", 4.0)
        assert len(server.requests) == 4

    @pytest.mark.parametrize(
        "change",
        [
            pytest.param({"model": "org/other-model"}, id="another model"),
            pytest.param({"temperature": 0.5}, id="another temperature"),
            pytest.param({"top_p": 0.9}, id="another top_p"),
            pytest.param({"max_tokens": 99}, id="another answer budget"),
            pytest.param({"answers": "second opinion"}, id="answers wanted anew"),
            pytest.param({"prompt": "Judge this: {{ document }}"}, id="another prompt"),
            pytest.param({"system": "Be strict."}, id="another system prompt"),
            pytest.param({"mode": "score_only"}, id="another schema"),
            pytest.param({"high": 10}, id="another scale, so another schema"),
        ],
    )
    def test_what_can_change_an_answer_asks_anew(self, change: dict[str, Any], answers: SqlAnswerCache) -> None:
        name, value = next(iter(change.items()))
        in_lens = name in ("prompt", "system", "mode", "high")
        lens = replace(LENS, **{name: value}) if in_lens else LENS
        with serving(lambda *_: FOUR) as server:
            list(rater(server, answers).rate(LENS, documents(["x"])))
            list(rater(server, answers, **({} if in_lens else change)).rate(lens, documents(["x"])))
            assert len(server.requests) == 2
            list(rater(server, answers).rate(LENS, documents(["x"])))
        assert len(server.requests) == 2, "what was kept before is still there"
