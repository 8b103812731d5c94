"""The served rater against a real HTTP server, through the real client."""

import logging
import socket
import threading
import time
from typing import Any

import pytest

from datashop_assets.project import RaterSettings
from datashop_assets_tests.rating.lens_for_tests import documents, small_lens
from datashop_assets_tests.resources.chat_server import ChatServer, Reply, fails, says, serving
from resources.raters.openai_compatible import OpenAICompatibleRater, RaterEndpointError, RaterRefusedError

LENS = small_lens()
FOUR = says('{"rationale": "clear", "score": 4}')


def rater(server: ChatServer | str, **changed: Any) -> OpenAICompatibleRater:
    url = server if isinstance(server, str) else server.base_url
    settings = {"backend": "openai", "model": "org/tiny-model", "base_url": url, "api_key_env": "TEST_RATER_KEY"}
    return OpenAICompatibleRater(RaterSettings(**{**settings, "timeout_s": 5, **changed}))


def test_a_good_answer_becomes_a_score_with_its_rationale() -> None:
    with serving(lambda *_: FOUR) as server:
        (judgement,) = rater(server).rate(LENS, documents(["a document"]))
    assert (judgement.score, judgement.reason, judgement.rationale) == (4.0, None, "clear")
    assert (judgement.input_tokens, judgement.output_tokens) == (10, 3)
    (request,) = server.requests
    assert request["messages"] == LENS.messages("a document")
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
        pytest.param(fails(400, "maximum context length is 2048"), "endpoint_error", 1, id="document too long"),
        pytest.param((200, ["not", "a completion"]), "endpoint_error", 1, id="not a chat completion"),
    ],
)
def test_a_document_that_cannot_be_judged_is_null_with_the_reason(reply: Reply, reason: str, generations: int) -> None:
    with serving(lambda document, _: reply if document == "bad" else FOUR) as server:
        judgements = list(rater(server, attempts=3).rate(LENS, documents(["good", "bad", "also good"])))
    assert [j.score for j in judgements] == [4.0, None, 4.0]
    assert judgements[1].reason == reason
    assert judgements[1].raw
    assert len(server.asked("bad")) == generations


def test_a_busy_server_is_waited_for() -> None:
    with serving(lambda _, times: fails(429, "slow down") if times < 3 else FOUR) as server:
        (judgement,) = rater(server).rate(LENS, documents(["x"]))
    assert judgement.score == 4.0


def test_an_empty_document_costs_nothing() -> None:
    with serving(lambda *_: FOUR) as server:
        (judgement,) = rater(server).rate(LENS, documents([" \n\t"]))
    assert judgement.reason == "empty_document"
    assert server.requests == []


def test_a_hanging_request_fails_its_document_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resources.raters.openai_compatible.CLIENT_RETRIES", 0)
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


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("where", ["at the start", "while rating"])
def test_a_refused_key_ends_the_run_and_is_not_shown(
    status: int, where: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("TEST_RATER_KEY", "sk-very-secret")
    caplog.set_level(logging.DEBUG)
    refuse = fails(status, "bad key sk-very-secret")
    with serving(lambda *_: refuse, models_status=status if where == "at the start" else 200) as server:
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


def test_the_key_comes_from_the_environment_and_local_servers_need_none(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(lambda *_: FOUR) as server:
        monkeypatch.delenv("TEST_RATER_KEY", raising=False)
        list(rater(server).rate(LENS, documents(["x"])))
        monkeypatch.setenv("TEST_RATER_KEY", "sk-mine")
        list(rater(server).rate(LENS, documents(["x"])))
    assert server.keys == ["Bearer EMPTY", "Bearer sk-mine"]


def test_an_unreachable_endpoint_is_named_at_once() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    with pytest.raises(RaterEndpointError, match=url) as error:
        list(rater(url).rate(LENS, documents(["x"])))
    assert not isinstance(error.value, RaterRefusedError), "it may be up the next time"


@pytest.mark.parametrize("status", [500, 502, 503])
def test_a_server_out_of_order_ends_the_run_before_a_document_is_given_up(status: int) -> None:
    with serving(lambda *_: FOUR, models_status=status) as server:
        with pytest.raises(RaterEndpointError, match=f"HTTP {status}") as error:
            list(rater(server).rate(LENS, documents(["x"])))
        assert not isinstance(error.value, RaterRefusedError), "it may be mended the next time"
        assert server.requests == []


@pytest.mark.parametrize("status", [404, 405, 429, 501])
def test_a_server_without_a_list_of_models_is_asked_all_the_same(status: int) -> None:
    with serving(lambda *_: FOUR, models_status=status) as server:
        (judgement,) = rater(server).rate(LENS, documents(["x"]))
    assert judgement.score == 4.0


def test_a_model_that_is_not_served_is_named() -> None:
    with (
        serving(lambda *_: fails(404, "no such model")) as server,
        pytest.raises(RaterRefusedError, match="org/tiny-model"),
    ):
        list(rater(server).rate(LENS, documents(["x"])))


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


def test_answers_stream_out_before_all_are_asked() -> None:
    with serving(lambda *_: FOUR) as server:
        judgements = rater(server, parallel=2).rate(LENS, documents([f"d{n}" for n in range(50)]))
        next(judgements)
        assert len(server.requests) <= 8
        judgements.close()


@pytest.mark.parametrize(
    ("change", "same"),
    [
        pytest.param({"base_url": "http://elsewhere:1/v1"}, True, id="another place"),
        pytest.param({"parallel": 99, "timeout_s": 7}, True, id="other pace"),
        pytest.param({"api_key_env": "OTHER_KEY"}, True, id="another key"),
        pytest.param({"model": "org/other-model"}, False, id="another model"),
        pytest.param({"temperature": 0.7}, False, id="another temperature"),
        pytest.param({"max_tokens": 50}, False, id="another answer budget"),
    ],
)
def test_the_id_changes_with_what_changes_judgements(change: dict[str, Any], same: bool) -> None:
    first = rater("http://here:1/v1")
    assert (rater("http://here:1/v1", **change).id == first.id) is same
    assert first.id.startswith("openai-tiny-model-")
