"""The rating cache: kept across processes, never a reason to lose a rating, and clear where it cannot serve."""

import logging
import multiprocessing
import os
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa

from datashop_assets.rating.questions import Reply
from datashop_assets.seams import PermanentError
from resources.raters import answer_cache
from resources.raters.answer_cache import ANSWERS, AnswerCacheError, SqlAnswerCache, UnusableCacheError, main

REPLY = Reply('{"score": 4}', "stop", 100, 7)


def url(folder: Path) -> str:
    return f"sqlite:///{folder / 'answers.db'}"


@pytest.fixture
def cache(tmp_path: Path) -> SqlAnswerCache:
    return SqlAnswerCache(url(tmp_path), "org/model")


def used_days_ago(cache: SqlAnswerCache, key: str, days: float) -> None:
    with sqlite3.connect(cache.place) as connection:
        connection.execute("UPDATE rating_answers SET used_at = ? WHERE key = ?", (time.time() - days * 86_400, key))


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(REPLY, id="an answer"),
        pytest.param(Reply("3", "stop", 9, 1, {"3": -0.1, "0": -9.5}), id="probabilities"),
        pytest.param(Reply("a\x00b \ud800 ünï", "length", 1, 2), id="what databases do not like"),
    ],
)
def test_an_answer_comes_back_as_it_was_in_another_opening_too(reply: Reply, tmp_path: Path) -> None:
    assert SqlAnswerCache(url(tmp_path)).get("key") is None
    SqlAnswerCache(url(tmp_path)).put("key", reply)
    assert SqlAnswerCache(url(tmp_path)).get("key") == reply
    assert SqlAnswerCache(url(tmp_path)).get("other") is None


def test_how_often_a_question_was_sent_is_not_part_of_its_answer(cache: SqlAnswerCache) -> None:
    cache.put("key", Reply("x", retries=3))
    assert cache.get("key") == Reply("x", retries=0)


def test_the_first_answer_stays(cache: SqlAnswerCache) -> None:
    cache.put("key", Reply("first"))
    cache.put("key", Reply("second"))
    assert cache.get("key") == Reply("first")


def test_what_is_kept_is_counted_by_model(cache: SqlAnswerCache) -> None:
    for key in "ab":
        cache.put(key, REPLY)
    cache.of("other").put("c", REPLY)
    assert cache.kept() == {"org/model": 2, "other": 1}


def test_threads_share_it(cache: SqlAnswerCache) -> None:
    def work(number: int) -> bool:
        cache.put(f"key{number % 50}", Reply(f"answer {number % 50}"))
        return cache.get(f"key{number % 50}") == Reply(f"answer {number % 50}")

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(work, range(400)))
    assert cache.kept() == {"org/model": 50}


def write_many(place: str, process: int, gate: "multiprocessing.synchronize.Event") -> None:
    gate.wait(60)
    cache = SqlAnswerCache(place)
    for number in range(150):
        cache.put(f"{process}-{number}", Reply(f"{process} {number}"))
        cache.put(f"shared-{number}", Reply("shared"))
        assert cache.get(f"shared-{number}") == Reply("shared")


def test_processes_that_open_and_fill_it_at_the_same_moment_lose_nothing(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    gate = context.Event()
    processes = [context.Process(target=write_many, args=(url(tmp_path), n, gate)) for n in range(4)]
    for process in processes:
        process.start()
    gate.set()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0] * 4
    cache = SqlAnswerCache(url(tmp_path))
    assert sum(cache.kept().values()) == 4 * 150 + 150
    assert cache.get("2-149") == Reply("2 149")


def test_it_can_be_used_on_both_sides_of_a_fork(cache: SqlAnswerCache) -> None:
    cache.put("parent", REPLY)
    child = os.fork()
    if child == 0:
        cache.put("child", REPLY)
        os._exit(0 if cache.get("parent") == REPLY else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert cache.get("child") == REPLY


def test_a_killed_process_leaves_what_it_had_put(tmp_path: Path) -> None:
    script = (
        "import os, signal\n"
        "from datashop_assets.rating.questions import Reply\n"
        "from resources.raters.answer_cache import SqlAnswerCache\n"
        f"cache = SqlAnswerCache({url(tmp_path)!r})\n"
        "[cache.put(str(n), Reply('kept')) for n in range(20)]\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == -9
    assert SqlAnswerCache(url(tmp_path)).kept() == {"": 20}


class TestPruning:
    """What is not used goes; what is used stays, however old."""

    def test_what_was_not_used_lately_is_forgotten(self, cache: SqlAnswerCache) -> None:
        for key in ("new", "old", "old but used"):
            cache.put(key, REPLY)
        for key in ("old", "old but used"):
            used_days_ago(cache, key, 40)
        assert cache.get("old but used") == REPLY
        assert cache.prune(unused_s=30 * 86_400) == 1
        assert [cache.get(key) is None for key in ("new", "old", "old but used")] == [False, True, False]

    def test_the_rows_used_last_are_kept(self, cache: SqlAnswerCache) -> None:
        for number in range(10):
            cache.put(f"{number}", REPLY)
            used_days_ago(cache, f"{number}", number)
        assert cache.prune(max_rows=4) == 6
        assert [cache.get(f"{number}") is not None for number in range(10)] == [True] * 4 + [False] * 6

    def test_the_file_shrinks(self, cache: SqlAnswerCache) -> None:
        for number in range(300):
            cache.put(f"{number}", Reply("x" * 5000))
        cache.prune(max_rows=1)
        with sqlite3.connect(cache.place) as connection:
            (pages,) = connection.execute("PRAGMA page_count").fetchone()
        assert pages * 4096 < 100_000

    def test_from_the_command_line(self, cache: SqlAnswerCache, capsys: pytest.CaptureFixture[str]) -> None:
        for number in range(3):
            cache.put(f"{number}", REPLY)
        place = ["--cache", f"sqlite:///{cache.place}"]
        assert main([*place, "--prune", "--max-rows", "2"]) == 0
        assert main(place) == 0
        said = capsys.readouterr().out
        assert "1 answers forgotten" in said
        assert f"2  answers in {cache.place}" in said

    @pytest.mark.parametrize("arguments", [["--prune"], ["--max-rows", "3"], ["--prune", "--max-rows", "-1"]])
    def test_a_command_that_leaves_doubt_does_nothing(self, arguments: list[str], cache: SqlAnswerCache) -> None:
        cache.put("key", REPLY)
        with pytest.raises(SystemExit):
            main(["--cache", f"sqlite:///{cache.place}", *arguments])
        assert cache.get("key") == REPLY


class TestWhatCanGoWrong:
    """Reading that fails is an error; writing that fails is an economy forgone."""

    @pytest.mark.parametrize("damage", ["not a database", "a hole in it"])
    def test_a_damaged_file_is_named_with_what_to_do(self, damage: str, tmp_path: Path) -> None:
        file = tmp_path / "answers.db"
        cache = SqlAnswerCache(url(tmp_path))
        for number in range(200):
            cache.put(f"{number}", Reply("x" * 1000))
        with sqlite3.connect(file) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        content = file.read_bytes()
        file.write_bytes(b"no database at all" * 500 if damage == "not a database" else content[:4096] * 20)
        with pytest.raises(UnusableCacheError, match="is damaged") as error:
            [SqlAnswerCache(url(tmp_path)).get(f"{number}") for number in range(200)]
        assert isinstance(error.value, PermanentError)
        assert str(file) in str(error.value)
        assert "Move the file away" in str(error.value)

    def test_a_full_disk_is_said_once_and_rating_goes_on(
        self, cache: SqlAnswerCache, caplog: pytest.LogCaptureFixture
    ) -> None:
        cache.put("key", REPLY)

        def fill(connection: sqlite3.Connection, *_: object) -> None:
            connection.execute("PRAGMA max_page_count = 10")

        engine = cache._opened()
        engine.dispose()
        sa.event.listen(engine, "connect", fill)
        for number in range(50):
            cache.put(f"{number}", Reply("x" * 3000))
        assert cache.get("key") == REPLY
        assert cache.get("49") is None
        (record,) = [r for r in caplog.records if r.levelno == logging.WARNING]
        assert "full" in record.getMessage()
        assert cache.place in record.getMessage()

    def test_a_cache_that_may_only_be_read_is_read(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        SqlAnswerCache(url(tmp_path)).put("key", REPLY)
        cache = SqlAnswerCache(url(tmp_path))
        sa.event.listen(cache._opened(), "connect", lambda c, _: c.execute("PRAGMA query_only = ON"))
        cache._opened().dispose()
        cache.put("other", REPLY)
        assert cache.get("key") == REPLY
        assert "no longer kept" in caplog.text

    def test_a_file_that_another_process_writes_for_too_long_costs_no_answer(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(answer_cache, "BUSY_S", 0.1)
        cache = SqlAnswerCache(url(tmp_path))
        cache.put("key", REPLY)
        with sqlite3.connect(cache.place, isolation_level=None) as writer:
            writer.execute("BEGIN IMMEDIATE")
            cache.put("other", REPLY)
            assert cache.get("key") == REPLY, "readers do not wait for writers"
            writer.execute("ROLLBACK")

    @pytest.mark.parametrize(
        ("place", "said"),
        [
            pytest.param("sqlite:////proc/nowhere/answers.db", "/proc/nowhere/answers.db", id="no such folder"),
            pytest.param("mysteries://user:hidden@host/db", "mysteries", id="an unknown database"),
            pytest.param("not a url hidden", "is no URL", id="no URL"),
        ],
    )
    def test_a_place_that_cannot_serve_is_named_without_a_password(self, place: str, said: str) -> None:
        with pytest.raises(UnusableCacheError, match=said) as error:
            SqlAnswerCache(place).get("key")
        assert "hidden" not in str(error.value)

    def test_a_database_that_does_not_answer_may_do_so_later_and_its_password_shows_nowhere(self) -> None:
        pytest.importorskip("psycopg2")
        cache = SqlAnswerCache("postgresql+psycopg2://me:hidden@127.0.0.1:9/db")
        with pytest.raises(AnswerCacheError, match="does not answer") as error:
            cache.get("key")
        assert not isinstance(error.value, PermanentError)
        assert "hidden" not in f"{error.value!r} {cache!r}"


def test_postgresql_is_asked_in_words_that_it_knows() -> None:
    from sqlalchemy.dialects import postgresql

    statement = sa.select(ANSWERS.c.key).order_by(ANSWERS.c.used_at.desc()).offset(5)
    assert "OFFSET" in str(statement.compile(dialect=postgresql.dialect()))
    assert "BIGINT" in str(sa.schema.CreateTable(ANSWERS).compile(dialect=postgresql.dialect()))
