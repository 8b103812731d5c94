"""A chat server that many use, and that is restarted under them: no rating is lost, none is null."""

import json
import multiprocessing
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from datashop_assets.project import RaterSettings
from datashop_assets.rating.judgement import Document
from datashop_assets.rating.lens_folder import load_lens
from datashop_assets.rating.questions import QuestionError
from datashop_assets_tests.certificates import make_certificates
from datashop_assets_tests.proxy import Proxy, proxy_to
from datashop_assets_tests.resources.chat_server import ChatServer, Reply, fails, says, serving
from datashop_assets_tests.resources.served_model import FOUR, model, question
from datashop_assets_tests.worlds import write_lens
from resources.raters import build_rater, openai_clients, outage
from resources.raters.endpoint_errors import RaterEndpointError

DOCUMENTS, PARALLEL, ANSWER_S = 60, 4, 0.05


def slowly(*_: object) -> Reply:
    time.sleep(ANSWER_S)
    return FOUR


@pytest.fixture
def brisk(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client gives up at once, and looks often: what a restart of minutes is for its pauses."""
    monkeypatch.setattr(openai_clients, "CLIENT_RETRIES", 0)
    monkeypatch.setattr(outage, "FIRST_PAUSE_S", 0.1)


def rate(folder: str, base_url: str, first: int) -> list[tuple[float | None, str | None]]:
    """Judgements of DOCUMENTS documents through a lens, by a rater of this process."""
    settings = RaterSettings(
        backend="openai", model="m", base_url=base_url, parallel=PARALLEL, timeout_s=10, away_s=60, api_key_env="NONE"
    )
    lens = load_lens(Path(folder) / "teaching")
    documents = [Document(f"document {first + number}") for number in range(DOCUMENTS)]
    return [(judged.score, judged.reason) for judged in build_rater(settings, Path(folder)).rate(lens, documents)]


def connections_are_reset(server: ChatServer, proxy: Proxy) -> None:
    """The pod is gone: nothing listens for a second, and what was under way is cut in the middle."""
    with gone(server):
        proxy.cut()
        time.sleep(1)


def a_gateway_says_503(server: ChatServer, proxy: Proxy) -> None:
    with answering(server, lambda *_: fails(503, "no healthy upstream"), 503):
        time.sleep(1)


def the_engine_dies_first(server: ChatServer, proxy: Proxy) -> None:
    with answering(server, lambda *_: fails(502, "engine is dead"), 502):
        proxy.cut()
        time.sleep(0.5)
    connections_are_reset(server, proxy)


def in_the_middle(restart: Callable[[ChatServer, Proxy], None], server: ChatServer, proxy: Proxy) -> None:
    while len(server.requests) < DOCUMENTS // 4:
        time.sleep(0.01)
    restart(server, proxy)


@contextmanager
def gone(server: ChatServer) -> Iterator[None]:
    server.closed = True
    yield
    server.closed = False


@contextmanager
def answering(server: ChatServer, script: Callable[[str, int], Reply], models_status: int) -> Iterator[None]:
    before = server.script, server.models_status
    server.script, server.models_status = script, models_status
    yield
    server.script, server.models_status = before


@pytest.mark.parametrize("restart", [connections_are_reset, a_gateway_says_503, the_engine_dies_first])
def test_a_restart_in_the_middle_of_rating_loses_no_rating(
    restart: Callable[[ChatServer, Proxy], None], brisk: None, tmp_path: Path
) -> None:
    write_lens(tmp_path, "teaching")
    with serving(slowly) as server, proxy_to(server.base_url.removesuffix("/v1")) as proxy:
        restarting = threading.Thread(target=in_the_middle, args=(restart, server, proxy))
        restarting.start()
        judged = rate(str(tmp_path), f"{proxy.url}/v1", 0)
        restarting.join()
        assert judged == [(4.0, None)] * DOCUMENTS
        answered = Counter(json.dumps(request["messages"]) for request in server.requests)
    assert len(answered) == DOCUMENTS
    assert sum(answered.values()) <= DOCUMENTS + 8 * PARALLEL, "only what was in flight is asked again"


def asking(server: ChatServer) -> set[int]:
    """Which of the processes have asked by now: their documents are numbered from their thousands on."""
    said = [request["messages"][-1]["content"] for request in list(server.requests)]
    return {int(number) // 1000 for text in said for number in re.findall(r"document (\d+)", text)}


def test_two_processes_share_an_endpoint_through_its_restart(tmp_path: Path) -> None:
    """With the client's own patience; both are at it."""
    write_lens(tmp_path, "teaching")
    spawn = multiprocessing.get_context("spawn")
    with serving(slowly) as server, proxy_to(server.base_url.removesuffix("/v1")) as proxy, spawn.Pool(2) as pool:
        done = [pool.apply_async(rate, (str(tmp_path), f"{proxy.url}/v1", 1000 * n)) for n in range(2)]
        while len(asking(server)) < 2:  # one that begins while nothing answers fails, and its run is tried again
            time.sleep(0.05)
        connections_are_reset(server, proxy)
        for each in done:
            assert each.get(timeout=120) == [(4.0, None)] * DOCUMENTS


def test_a_server_that_does_not_come_back_ends_the_run_for_all_who_wait_and_fails_no_document(brisk: None) -> None:
    with serving(lambda *_: FOUR) as server:
        served = model(server, away_s=1, parallel=4)
        served.start()
        errors: list[Exception] = []

        def ask() -> None:
            with pytest.raises(RaterEndpointError, match="no answer") as caught:
                served.ask(question())
            errors.append(caught.value)

        server.closed = True
        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(errors) == 4
        server.closed = False


def test_a_document_that_ends_the_server_each_time_is_given_up(brisk: None) -> None:
    """The others are judged; it has a reason."""
    with serving(lambda *_: says("{}")) as server:
        served = model(server, away_s=30)
        served.start()

        def poison(document: str, _: int) -> Reply:
            if document != "poison":
                return FOUR
            server.models_statuses = [503, 503]  # away for one look, which asks twice
            return fails(502, "engine is dead")

        server.script = poison
        with pytest.raises(QuestionError, match="engine is dead"):
            served.ask(question("poison"))
        assert served.ask(question("other")).text == '{"score": 4}'
        assert len(server.asked("poison")) == 4


def test_over_tls_with_an_authority_of_ones_own_and_a_key_by_the_name_of_its_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make_certificates(tmp_path)
    monkeypatch.setenv("TEST_RATER_KEY", "sk-very-secret")
    with serving(lambda *_: FOUR, tls=made.for_a_server()) as server:
        with pytest.raises(RaterEndpointError, match=r"TLS: .*certificate verify failed.*SSL_CERT_FILE") as caught:
            model(server, backend="vllm").start()
        monkeypatch.setenv("SSL_CERT_FILE", str(made.authority))
        served = model(server, backend="vllm")
        served.start()
        assert served.ask(question()).text == '{"score": 4}'
        assert server.keys == ["Bearer sk-very-secret"]
    assert "sk-very-secret" not in f"{caught.value}{served!r}{vars(served)}"
