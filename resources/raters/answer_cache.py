"""Answers of chat models, kept in a database: what was paid for once is not paid for again.

What belongs here: keeping, finding and pruning answers, for all shards, lenses, runs, processes and threads. What does
not: what makes two questions the same (the key: `datashop_assets/rating/prompted.py`), judgements (the annotations
table).

Run as a program it tells what is kept, or prunes it: `python -m resources.raters.answer_cache --help`.
"""

import argparse
import copy
import json
import logging
import os
import sqlite3
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from filelock import FileLock
from sqlalchemy.dialects import postgresql, sqlite

from datashop_assets.rating.questions import Reply
from datashop_assets.seams import PermanentError

BUSY_S = 60  # how long a process waits while another one writes; a write takes some 0.1 ms
CONNECTIONS = 8  # of a process; reading a row takes some 0.1 ms, so that more threads hardly wait
# A row's time of use is written anew at most so often, so that reading what is kept hardly ever writes.
USED_EVERY_S = 86_400
DAMAGED = ("SQLITE_CORRUPT", "SQLITE_NOTADB")

ANSWERS = sa.Table(
    "rating_answers",
    sa.MetaData(),
    sa.Column("key", sa.String(64), primary_key=True),
    sa.Column("model", sa.Text, nullable=False, index=True),
    # JSON spells what some databases cannot store in a text: NUL, lone surrogates.
    sa.Column("reply", sa.Text, nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("used_at", sa.BigInteger, nullable=False, index=True),
)

# Made once: SQLAlchemy takes longer to make a statement than SQLite to run it.
FIND = sa.select(ANSWERS.c.reply, ANSWERS.c.used_at).where(ANSWERS.c.key == sa.bindparam("wanted"))
# Where another process has put an answer under a key already, that one stays.
KEEP = {
    "sqlite": sqlite.insert(ANSWERS).on_conflict_do_nothing(),
    "postgresql": postgresql.insert(ANSWERS).on_conflict_do_nothing(),
}

log = logging.getLogger(__name__)


class AnswerCacheError(RuntimeError):
    """The cache cannot be read now; the message says where it is. This kind may pass."""


class UnusableCacheError(AnswerCacheError, PermanentError):
    """The cache cannot be used until a person mends it: a damaged file, a place that is not there, a wrong URL."""


class SqlAnswerCache:
    """Behind `seams.AnswerCache`, in SQLite or PostgreSQL. Opened at its first use; for use by threads and processes.

    A cache that cannot be read is an error, for going on would pay for everything again without a word. One that
    cannot be written, for want of room or of a right, is an economy forgone: that is said in one warning, and the
    answers of this process are no longer kept. `model` is noted beside what is put.
    """

    def __init__(self, url: str, model: str = "") -> None:
        try:
            self.url = sa.make_url(url)
        except sa.exc.ArgumentError:
            # What was given may hold a password; so may the message of this error.
            raise UnusableCacheError(
                "the rating cache's place is no URL; let DATASHOP_RATING_CACHE be sqlite:////folder/rating_cache.db, "
                "postgresql+psycopg2://user:password@host/database, or `none` to rate without"
            ) from None
        self.model = model
        self._lock = threading.Lock()
        # Threads that wait for SQLite sleep up to 0.1 s at a time; for each other they need not.
        self._writing = threading.Lock()
        # Answers that wait to be written. Whoever gets to write takes all of them: with many threads a commit for each
        # answer costs more than asking does.
        self._waiting: deque[dict[str, Any]] = deque()
        self._engine: sa.Engine | None = None
        self._process = 0
        self._warned = False

    def __repr__(self) -> str:
        return f"SqlAnswerCache({self.place})"

    @property
    def place(self) -> str:
        """Where it is, for people: a file, or a URL without its password."""
        return self.url.database or "" if self._is_file else self.url.render_as_string(hide_password=True)

    def of(self, model: str) -> "SqlAnswerCache":
        """The same cache, noting another model beside what is put."""
        other = copy.copy(self)  # with the same locks and, once it is opened, the same connections
        other.model = model
        return other

    def get(self, key: str) -> Reply | None:
        """The answer under the key. Raises AnswerCacheError."""
        with self._reading() as connection:
            row = connection.execute(FIND, {"wanted": key}).first()
        if row is None:
            return None
        now = int(time.time())
        if row.used_at <= now - USED_EVERY_S:
            self._write(sa.update(ANSWERS).where(ANSWERS.c.key == key).values(used_at=now))
        return Reply(**json.loads(row.reply))

    def put(self, key: str, reply: Reply) -> None:
        """Keep an answer. Where there is one under the key, of another process, that one stays."""
        now = int(time.time())
        content = {name: value for name, value in asdict(reply).items() if name != "retries"}
        row = {"key": key, "model": self.model, "reply": json.dumps(content), "created_at": now, "used_at": now}
        self._waiting.append(row)
        with self._writing:
            rows = [self._waiting.popleft() for _ in range(len(self._waiting))]
            if rows:  # else another thread has written it along with its own
                self._write_now(KEEP["sqlite" if self._is_file else "postgresql"], rows)

    def kept(self) -> dict[str, int]:
        """How many answers are kept, by model."""
        with self._reading() as connection:
            counted = (
                sa.select(ANSWERS.c.model, sa.func.count().label("answers"))
                .group_by(ANSWERS.c.model)
                .order_by(ANSWERS.c.model)
            )
            return {row.model: row.answers for row in connection.execute(counted)}

    def prune(self, unused_s: float | None = None, max_rows: int | None = None) -> int:
        """Forget what was not used for `unused_s` seconds, to the day, and what was used least lately beyond
        `max_rows`; returns how many answers that were. Gives a file's room back. Raises AnswerCacheError."""
        gone = []
        if unused_s is not None:
            gone.append(sa.delete(ANSWERS).where(ANSWERS.c.used_at < int(time.time() - unused_s)))
        if max_rows is not None:
            latest = ANSWERS.c.used_at.desc(), ANSWERS.c.created_at.desc(), ANSWERS.c.key
            beyond = sa.select(ANSWERS.c.key).order_by(*latest).offset(max_rows)
            gone.append(sa.delete(ANSWERS).where(ANSWERS.c.key.in_(beyond.scalar_subquery())))
        with self._reading() as connection:
            count = sum(connection.execute(statement).rowcount for statement in gone)
            connection.commit()
        if count and self._is_file:
            with self._reading() as connection:
                connection.execution_options(isolation_level="AUTOCOMMIT").execute(sa.text("VACUUM"))
        return count

    @property
    def _is_file(self) -> bool:
        return self.url.get_backend_name() == "sqlite"

    @contextmanager
    def _reading(self) -> Iterator[sa.Connection]:
        try:
            with self._opened().connect() as connection:
                yield connection
        except sa.exc.DBAPIError as error:
            raise self._explained(error) from error

    def _write(self, statement: sa.Executable) -> None:
        with self._writing:
            self._write_now(statement)

    def _write_now(self, statement: sa.Executable, rows: Sequence[Mapping[str, Any]] | None = None) -> None:
        try:
            with self._opened().begin() as connection:
                connection.execute(statement, rows)
        except sa.exc.DBAPIError as error:
            if _code(error) in DAMAGED:
                raise self._explained(error) from error
            if not self._warned:
                self._warned = True
                log.warning("Answers are no longer kept in the rating cache %s: %s", self.place, error.orig)

    def _opened(self) -> sa.Engine:
        """The engine of this process: connections must not be used on both sides of a fork."""
        with self._lock:
            if self._engine is None or self._process != os.getpid():
                self._engine, self._process = self._open(), os.getpid()
            return self._engine

    def _open(self) -> sa.Engine:
        try:
            if not self._is_file:
                engine = sa.create_engine(self.url, pool_pre_ping=True)
                ANSWERS.metadata.create_all(engine)
                return engine
            file = Path(self.place).absolute()
            file.parent.mkdir(parents=True, exist_ok=True)
            # Threads wait for a connection as long as that takes: each comes back after BUSY_S at the latest.
            pool = {"pool_size": CONNECTIONS, "max_overflow": 0, "pool_timeout": None}
            engine = sa.create_engine(self.url, connect_args={"timeout": BUSY_S}, **pool)
            sa.event.listen(engine, "connect", _without_syncing_each_write)
            # Two processes that make the same file at once would find it locked, however long they wait.
            with FileLock(f"{file}.lock", timeout=BUSY_S), engine.connect() as connection:
                connection.exec_driver_sql("PRAGMA journal_mode=WAL")
                ANSWERS.metadata.create_all(connection)
                connection.commit()
            return engine
        except sa.exc.DBAPIError as error:
            raise self._explained(error) from error
        except (sa.exc.NoSuchModuleError, ImportError, OSError) as error:
            raise UnusableCacheError(self._cannot_be_used(str(error))) from error

    def _explained(self, error: sa.exc.DBAPIError) -> AnswerCacheError:
        code = _code(error)
        if code in DAMAGED:
            return UnusableCacheError(
                f"the rating cache {self.place} is damaged ({error.orig}). Move the file away, with those beside it "
                "that end in -wal and -shm: a new one is made, and what was kept in it is asked anew"
            )
        if code == "SQLITE_CANTOPEN" or code.startswith("SQLITE_READONLY"):
            return UnusableCacheError(self._cannot_be_used(str(error.orig)))
        return AnswerCacheError(f"the rating cache {self.place} does not answer ({error.orig}); run again later")

    def _cannot_be_used(self, why: str) -> str:
        return (
            f"the rating cache {self.place} cannot be used ({why}); let DATASHOP_RATING_CACHE name another place, "
            "or `none` to rate without"
        )


def _code(error: sa.exc.DBAPIError) -> str:
    """SQLite's name of an error; empty for other databases."""
    return getattr(error.orig, "sqlite_errorname", "")


def _without_syncing_each_write(connection: sqlite3.Connection, _: object) -> None:
    # In WAL mode this is safe against a killed process; a power cut may cost the last answers, never the file.
    connection.execute("PRAGMA synchronous=NORMAL")


def main(arguments: list[str] | None = None) -> int:
    """The command line: what is kept, and pruning. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m resources.raters.answer_cache", description="The rating cache.")
    parser.add_argument("--cache", help="its URL; without, that of the profile (DATASHOP_RATING_CACHE)")
    parser.add_argument("--prune", action="store_true", help="forget answers, as the two bounds say")
    parser.add_argument("--unused-days", type=float, help="forget what was not used for so many days")
    parser.add_argument("--max-rows", type=int, help="keep at most so many answers, those used last")
    asked = parser.parse_args(arguments)
    bounds = [bound for bound in (asked.unused_days, asked.max_rows) if bound is not None]
    if bool(bounds) != asked.prune or any(bound < 0 for bound in bounds):
        parser.error("--prune goes with --unused-days, --max-rows or both, neither below zero")
    # Here, not above: profiles build raters, which import this module.
    from resources.profiles import profile_from_environment

    url = asked.cache or profile_from_environment().rating_cache
    if url is None:
        parser.error("the profile has no rating cache (DATASHOP_RATING_CACHE is `none`)")
    try:
        cache = SqlAnswerCache(url)
        if asked.prune:
            unused = None if asked.unused_days is None else asked.unused_days * 86_400
            print(f"{cache.prune(unused, asked.max_rows)} answers forgotten")  # noqa: T201
        kept = cache.kept()
    except AnswerCacheError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 1
    for model, count in kept.items():
        print(f"{count:>10}  {model}")  # noqa: T201
    print(f"{sum(kept.values()):>10}  answers in {cache.place}")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
