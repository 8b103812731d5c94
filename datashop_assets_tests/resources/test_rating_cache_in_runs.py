"""The rating cache through the assets, with every request counted at a real HTTP server."""

import itertools
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from datashop_assets.project import RaterSettings
from datashop_assets.seams import Rater
from datashop_assets_tests.resources.chat_server import ChatServer, Reply, fails, says, serving
from datashop_assets_tests.worlds import World, write_project
from resources.raters import build_rater
from resources.raters.answer_cache import SqlAnswerCache

FOUR = says('{"rationale": "clear", "score": 4}')


def raters(server: ChatServer, folder: Path) -> Callable[[str], Rater]:
    answers = SqlAnswerCache(f"sqlite:///{folder / 'answers.db'}")
    settings = RaterSettings(backend="openai", model="m", base_url=server.base_url, parallel=4)
    rater = build_rater(settings, folder, answers)
    return lambda _: rater


def test_a_partition_that_is_wholly_cached_makes_no_call_through_the_asset(tmp_path: Path) -> None:
    write_project(tmp_path)
    with serving(lambda *_: FOUR) as server:
        world = World(tmp_path, raters=raters(server, tmp_path))
        world.land_shards(1, documents=12)
        world.run("parse_and_embed_shards")
        world.run("rate_documents", "teaching")
        assert len(server.requests) == 12
        # The same documents in a shard of its own: a cell that was never rated.
        world.land("again", range(12))
        world.register()
        world.run("parse_and_embed_shards")
        world.run("rate_documents", "teaching")
    assert len(server.requests) == 12


def test_a_run_that_failed_half_way_pays_for_the_rest_only(tmp_path: Path) -> None:
    write_project(tmp_path)
    broken = threading.Event()
    broken.set()
    asked = itertools.count(1)  # of four at once: how many the server has seen by now is more than those before

    def script(*_: Any) -> Reply:
        return fails(401, "key withdrawn") if next(asked) > 20 and broken.is_set() else FOUR

    with serving(script) as server:
        world = World(tmp_path, raters=raters(server, tmp_path))
        world.land_shards(1, documents=40)
        world.run("parse_and_embed_shards")
        world.run("rate_documents", "teaching", fails=True)
        refused = len(server.requests) - 20
        broken.clear()
        world.run("rate_documents", "teaching")
    assert len(server.requests) == 40 + refused
