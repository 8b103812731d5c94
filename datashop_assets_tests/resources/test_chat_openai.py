"""The served chat model against a real HTTP server, through the real client: what one gets of each misbehaviour."""

import logging
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from datashop_assets.project import RaterSettings
from datashop_assets.rating.questions import QuestionError
from datashop_assets.seams import PermanentError
from datashop_assets_tests.resources.chat_server import CUT, DROPPED, Reply, fails, says, serving
from datashop_assets_tests.resources.served_model import FOUR, SCHEMA, model, question
from resources.raters import chat_openai, openai_clients
from resources.raters.chat_openai import OpenAIChatModel
from resources.raters.endpoint_errors import RaterEndpointError, RaterRefusedError


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """No pauses: what happens once all patience is at its end."""
    monkeypatch.setattr(openai_clients, "CLIENT_RETRIES", 0)


def test_an_answer_comes_with_its_tokens_and_was_asked_for_as_the_question_says() -> None:
    with serving(lambda *_: FOUR) as server:
        reply = model(server).ask(question("a document"))
    assert (reply.text, reply.finish, reply.input_tokens, reply.output_tokens) == ('{"score": 4}', "stop", 10, 3)
    (request,) = server.requests
    assert request["messages"] == [dict(message) for message in question("a document").messages]
    assert request["response_format"]["json_schema"]["schema"] == SCHEMA
    assert (request["temperature"], request["seed"], request["max_tokens"]) == (0.0, 1, 300)
    assert "chat_template_kwargs" not in request, "extras are for vLLM alone"


@pytest.mark.parametrize(
    ("bad", "retries"),
    [
        pytest.param(fails(429, "slow down"), 2, id="429 with Retry-After"),
        pytest.param(fails(500, "oops"), 2, id="500"),
        pytest.param((200, DROPPED), 2, id="connection dropped"),
        pytest.param((200, CUT), 2, id="connection dropped in the middle of the answer"),
        pytest.param((200, b'{"choices": [{"mess'), 2, id="truncated JSON"),
        pytest.param((200, {"choices": []}), 2, id="another schema"),
    ],
)
def test_what_may_pass_is_asked_again_and_counted(bad: Reply, retries: int) -> None:
    with serving(lambda _, times: bad if times <= retries else FOUR) as server:
        reply = model(server).ask(question())
    assert reply.text == '{"score": 4}'
    assert reply.retries == retries
    assert len(server.requests) == 1 + retries


@pytest.mark.parametrize(
    ("bad", "reason", "said", "asked"),
    [
        pytest.param(fails(500, "oops"), "endpoint_error", "oops", 1, id="500"),
        pytest.param((200, DROPPED), "endpoint_error", "APIConnectionError", 1, id="connection dropped"),
        pytest.param((200, b'{"choices": [{"mess'), "endpoint_error", "no chat completion", 3, id="truncated JSON"),
        pytest.param((200, ["not", "one"]), "endpoint_error", "no chat completion", 3, id="another schema"),
        pytest.param(fails(400, "maximum context length is 2048"), "too_long", "2048", 1, id="too long"),
        pytest.param(fails(413, "request too long"), "too_long", "too long", 1, id="too long for a gateway"),
        pytest.param(fails(422, "messages: not understood"), "endpoint_error", "not understood", 1, id="422"),
        pytest.param(
            (400, {"error": {"message": "triggered the policy", "code": "content_filter"}}),
            "refused",
            "policy",
            1,
            id="content filter",
        ),
    ],
)
def test_one_questions_failure_has_a_reason_and_leaves_the_others_alone(
    bad: Reply, reason: str, said: str, asked: int, impatient: None
) -> None:
    with serving(lambda document, _: bad if document == "bad" else FOUR) as server:
        served = model(server)
        with pytest.raises(QuestionError, match=said) as error:
            served.ask(question("bad"))
        assert served.ask(question("good")).text == '{"score": 4}'
    assert error.value.reason == reason
    assert len(server.asked("bad")) == asked


def broken(content: object, prompt_tokens: int, completion_tokens: int) -> Reply:
    return 200, {"choices": content, "usage": {"prompt_tokens": prompt_tokens, "completion_tokens": completion_tokens}}


@pytest.mark.parametrize(
    ("bad", "requests", "tokens"),
    [
        pytest.param(fails(500, "oops"), 3, (0, 0), id="500, until the client gives up"),
        pytest.param((200, DROPPED), 3, (0, 0), id="connection dropped, until the client gives up"),
        pytest.param((200, b'{"choices": [{"mess'), 3, (0, 0), id="truncated answers, which do not say what they took"),
        pytest.param(broken([], 10, 3), 3, (30, 9), id="answers of another shape, which do"),
        pytest.param(fails(400, "maximum context length is 2048"), 1, (0, 0), id="too long"),
    ],
)
def test_a_failed_question_says_what_it_took(
    bad: Reply, requests: int, tokens: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openai_clients, "CLIENT_RETRIES", 2)
    with serving(lambda *_: bad) as server:
        with pytest.raises(QuestionError) as error:
            model(server).ask(question("bad"))
        assert len(server.asked("bad")) == requests
    assert (error.value.requests, error.value.input_tokens, error.value.output_tokens) == (requests, *tokens)


def test_the_tokens_of_broken_answers_count_for_the_reply_that_came_after_them() -> None:
    with serving(lambda _, times: broken([], 10, 3) if times == 1 else FOUR) as server:
        reply = model(server).ask(question())
    assert (reply.text, reply.input_tokens, reply.output_tokens, reply.retries) == ('{"score": 4}', 20, 6, 1)


def test_a_refusal_and_a_cut_off_answer_are_replies_that_say_so() -> None:
    with serving(
        lambda document, _: says(None, refusal="No.") if document == "bad" else says("{", finish="length")
    ) as s:
        refused, cut = model(s).ask(question("bad")), model(s).ask(question("long"))
    assert (refused.text, refused.finish) == ("No.", "refused")
    assert (cut.text, cut.finish) == ("{", "length")


def test_a_slow_server_is_given_up_by_the_settings(impatient: None) -> None:
    release = threading.Event()

    def script(*_: Any) -> Reply:
        release.wait(10)
        return FOUR

    with serving(script) as server:
        with pytest.raises(QuestionError, match="timed out") as error:
            model(server, timeout_s=0.3).ask(question())
        release.set()
    assert error.value.reason == "endpoint_error"


class TestWithoutSomeParameter:
    """Models that do not understand everything: found out once, said once."""

    @pytest.mark.parametrize(
        ("refusal", "gone", "instead"),
        [
            pytest.param(fails(400, "response_format is not supported"), "response_format", None, id="no schema"),
            pytest.param(
                (400, {"error": {"message": "Use 'max_completion_tokens' instead.", "param": "max_tokens"}}),
                "max_tokens",
                ("max_completion_tokens", 300),
                id="another name of the answer budget",
            ),
            pytest.param(
                (400, {"error": {"message": "does not support 0 with this model", "param": "temperature"}}),
                "temperature",
                None,
                id="its own temperature only",
            ),
            pytest.param(fails(422, "seed: Extra inputs are not permitted"), "seed", None, id="no seed"),
        ],
    )
    def test_it_is_left_out_from_then_on_with_one_warning(
        self, refusal: Reply, gone: str, instead: tuple[str, Any] | None, caplog: pytest.LogCaptureFixture
    ) -> None:
        with serving(lambda *_: refusal if gone in server.requests[-1] else FOUR) as server:
            served = model(server)
            replies = [served.ask(question(document)) for document in "abc"]
        assert [reply.text for reply in replies] == ['{"score": 4}'] * 3
        assert [gone in request for request in server.requests] == [True, False, False, False]
        if instead:
            assert server.requests[-1][instead[0]] == instead[1]
        assert [r.levelname for r in caplog.records if r.name == chat_openai.__name__] == ["WARNING"]
        assert gone in caplog.text

    def test_a_refused_document_that_speaks_of_a_parameter_changes_nothing(self) -> None:
        bad = fails(400, 'the message "my seed and temperature" is not valid')
        with serving(lambda document, _: bad if document == "bad" else FOUR) as server:
            served = model(server)
            with pytest.raises(QuestionError):
                served.ask(question("bad"))
            served.ask(question("good"))
        assert {"seed", "temperature", "response_format"} <= set(server.requests[-1])


class TestTheKey:
    """It stands in the environment, reaches the server, and shows nowhere."""

    @pytest.mark.parametrize("status", [401, 403])
    @pytest.mark.parametrize("where", ["at the start", "while asking"])
    def test_a_refused_key_is_for_a_person_to_mend(
        self, status: int, where: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setenv("TEST_RATER_KEY", "sk-very-secret")
        caplog.set_level(logging.DEBUG)
        refuse = fails(status, "bad key sk-very-secret")
        with serving(lambda *_: refuse, models_status=status if where == "at the start" else 200) as server:
            served = model(server)
            with pytest.raises(RaterRefusedError, match="TEST_RATER_KEY") as error:
                served.start() if where == "at the start" else served.ask(question())
        assert "sk-very-secret" not in f"{error.value!r} {served!r} {vars(served)} {served.id} {caplog.text}"

    def test_a_key_that_the_server_quotes_is_masked(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setenv("TEST_RATER_KEY", "sk-very-secret\n")
        quotes = fails(400, "seed is not supported for sk-very-secret")
        with serving(lambda *_: quotes) as server, pytest.raises(QuestionError, match="not supported") as error:
            model(server).ask(question())
        assert server.keys[0] == "Bearer sk-very-secret"
        assert "sk-very-secret" not in f"{error.value!r}{caplog.text}"

    def test_local_servers_need_none_and_vllm_is_sent_no_key_of_another_service(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("TEST_RATER_KEY", raising=False)
        monkeypatch.setenv("OPENAI_API_KEY", "sk-for-openai")
        with serving(lambda *_: FOUR) as server:
            model(server).ask(question())
            settings = RaterSettings(backend="vllm", model="m", base_url=server.base_url)
            OpenAIChatModel(settings).ask(question())
        assert server.keys == ["Bearer EMPTY", "Bearer EMPTY"]


class TestTheEndpoint:
    """What is wrong with all questions ends the run; what may pass is left to a retry of it."""

    def test_nobody_there_is_said_at_once(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
            with pytest.raises(RaterEndpointError, match=url) as error:
                model(url).start()
        assert not isinstance(error.value, PermanentError), "it may be up the next time"

    @pytest.mark.parametrize("status", [500, 502, 503])
    def test_a_server_out_of_order_is_said_at_once(self, status: int) -> None:
        server = serving(lambda *_: FOUR, models_status=status)
        with server as up, pytest.raises(RaterEndpointError, match=f"HTTP {status}") as error:
            model(up).start()
        assert not isinstance(error.value, PermanentError), "it may be mended the next time"

    @pytest.mark.parametrize("status", [404, 405, 429, 501])
    def test_a_server_without_a_list_of_models_is_let_pass(self, status: int) -> None:
        with serving(lambda *_: FOUR, models_status=status) as server:
            served = model(server)
            served.start()
            assert served.ask(question()).text == '{"score": 4}'

    def test_a_model_that_is_not_served_is_named(self) -> None:
        server = serving(lambda *_: fails(404, "no such model"))
        with server as up, pytest.raises(RaterRefusedError, match="org/tiny-model"):
            model(up).ask(question())

    @pytest.mark.parametrize(("status", "code"), [(429, "insufficient_quota"), (402, None)])
    def test_an_empty_account_is_for_a_person_to_mend(self, status: int, code: str | None, impatient: None) -> None:
        broke = (status, {"error": {"message": "exceeded your quota", "code": code}})
        with serving(lambda *_: broke) as server, pytest.raises(RaterRefusedError, match="nothing left to spend"):
            model(server).ask(question())

    @pytest.mark.parametrize(("status", "asked"), [(429, 5), (503, 5)])
    def test_an_endpoint_that_stays_busy_fails_the_run_not_the_document(
        self, status: int, asked: int, impatient: None
    ) -> None:
        overloaded = serving(lambda *_: fails(status, "overloaded"))
        with overloaded as server, pytest.raises(RaterEndpointError, match="overloaded") as error:
            model(server).ask(question())
        assert not isinstance(error.value, PermanentError)
        assert len(server.requests) == asked

    def test_a_pause_of_an_hour_is_not_sat_out(self) -> None:
        with serving(lambda *_: fails(429, "daily limit")) as server:
            server.retry_after = "3600"
            with pytest.raises(RaterEndpointError, match="daily limit"):
                model(server).ask(question())
        assert len(server.requests) == 1

    def test_an_endpoint_that_dies_while_it_is_asked_fails_no_document(self, impatient: None) -> None:
        with serving(lambda *_: FOUR) as server:
            served = model(server)
            served.start()
            served.ask(question())
        with pytest.raises(RaterEndpointError, match="no answer"):
            served.ask(question())

    def test_question_after_question_failing_is_the_endpoints_failure_until_it_is_up_again(
        self, impatient: None
    ) -> None:
        sick = threading.Event()
        sick.set()
        with serving(lambda *_: fails(500, "worker lost") if sick.is_set() else FOUR) as server:
            served = model(server, parallel=8)
            served.start()
            with ThreadPoolExecutor(8) as pool:
                errors = list(pool.map(lambda n: self.error_of(served, f"d{n}"), range(200)))
            assert sum(isinstance(error, QuestionError) for error in errors) == 7
            assert all(isinstance(e, RaterEndpointError) for e in errors if not isinstance(e, QuestionError))
            assert len(server.requests) < 20, "nobody is asked any more once that is known"
            sick.clear()
            served.start()
            assert served.ask(question()).text == '{"score": 4}'

    def test_a_failure_now_and_then_never_adds_up(self, impatient: None) -> None:
        with serving(lambda document, _: fails(500, "oops") if document == "bad" else FOUR) as server:
            served = model(server, parallel=1)
            for _ in range(30):
                with pytest.raises(QuestionError):
                    served.ask(question("bad"))
                served.ask(question("good"))

    def test_an_endpoint_that_refuses_every_question_is_for_a_person_to_mend(self, impatient: None) -> None:
        with serving(lambda *_: fails(400, "unknown tenant")) as server:
            served = model(server)
            errors = [self.error_of(served, f"d{n}") for n in range(20)]
        assert isinstance(errors[0], QuestionError)
        assert isinstance(errors[-1], RaterRefusedError)
        assert "unknown tenant" in str(errors[-1])

    @staticmethod
    def error_of(served: OpenAIChatModel, document: str) -> Exception:
        with pytest.raises((QuestionError, RaterEndpointError)) as error:
            served.ask(question(document))
        return error.value


def test_the_id_is_the_models_wherever_and_however_it_is_served() -> None:
    first = model("http://here:1/v1")
    for same in ({"base_url": "http://there:1/v1"}, {"parallel": 99}, {"api_key_env": "B"}, {"backend": "vllm"}):
        assert model("http://here:1/v1", **same).id == first.id
    assert model("http://here:1/v1", model="other/tiny-model").id != first.id
    assert first.id.startswith("tiny-model-")
