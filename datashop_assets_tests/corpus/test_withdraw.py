"""Withdrawing a shard: the way out where a crawl file was registered before it was whole."""

import gzip
import json
from dataclasses import replace
from pathlib import Path

import pytest

from datashop_assets.corpus.registry import (
    WithdrawalError,
    active_shards,
    register,
    registered_shards,
    withdraw_shard,
)
from datashop_assets.corpus.withdraw import main
from datashop_assets.records import DOCUMENTS, WITHDRAWN_SHARDS
from datashop_assets_tests.worlds import World, document, failure_of

WHOLE = gzip.compress("".join(json.dumps({"text": document(n)}) + "\n" for n in range(50, 60)).encode())


@pytest.fixture
def half(world: World) -> Path:
    """A crawl file that was half copied when it was registered, between two whole ones."""
    file = world.folder / "landing" / "b.jsonl.gz"
    file.write_bytes(WHOLE[:-40])
    world.land("a", range(3))
    world.land("c", range(3, 6))
    world.register()
    return file


def test_every_message_on_the_way_out_of_a_half_copied_file_is_the_next_step(
    world: World, half: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = "python -m datashop_assets.corpus.withdraw crawl-00001 --reason"
    failed = failure_of(world.run("parse_and_embed_shards", fails=True))
    assert "b.jsonl.gz is cut short or damaged" in failed
    assert "put a whole copy in its place, or take it away; then withdraw its shard" in failed
    assert command in failed
    half.write_bytes(WHOLE)
    assert command in failure_of(world.run("parse_and_embed_shards", fails=True))

    monkeypatch.setenv("DATASHOP_PROJECT", str(world.profile.project_file))
    assert main(["crawl-00001", "--reason", "half copied"]) == 0
    assert "b.jsonl.gz" in capsys.readouterr().out
    assert world.read(WITHDRAWN_SHARDS)["reason"].to_list() == ["half copied"]
    world.register()
    assert [(s.shard, s.files[0].path) for s in registered_shards(world.lake)] == [
        ("crawl-00000", "a.jsonl"),
        ("crawl-00002", "c.jsonl"),
        ("crawl-00003", "b.jsonl.gz"),
    ]
    assert world.reconcile() == ["parse_and_embed_shards"]
    assert world.read(DOCUMENTS).filter(shard="crawl-00003").height == 10


def test_a_vanished_file_names_the_same_way_out(world: World, half: Path) -> None:
    half.unlink()
    failed = failure_of(world.run("parse_and_embed_shards", fails=True))
    assert "b.jsonl.gz is gone" in failed
    assert "put it back as it was registered, or withdraw its shard" in failed


def test_a_shard_with_documents_is_withdrawn_by_force_alone_which_says_what_follows(world: World, half: Path) -> None:
    world.run("parse_and_embed_shards", shards=world.shards[:1])
    with pytest.raises(
        WithdrawalError, match=r"crawl-00000 has 3 documents\. Withdrawn by force, .* rest: .* rated again"
    ):
        withdraw_shard(world.lake, "crawl-00000", "why", "me")
    withdraw_shard(world.lake, "crawl-00000", "why", "me", force=True)
    assert "crawl-00000" not in {shard.shard for shard in active_shards(world.lake, world.graph.project)}
    assert world.read(DOCUMENTS).height == 3, "nothing is deleted"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(["crawl-00009", "--reason", "x"], "'crawl-00009' is a partition but not in", id="unknown"),
        pytest.param(["crawl-00000", "--reason", " "], "needs its reason", id="no reason"),
    ],
)
def test_what_cannot_be_withdrawn_is_said_and_nothing_recorded(
    world: World,
    half: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    said: str,
) -> None:
    monkeypatch.setenv("DATASHOP_PROJECT", str(world.profile.project_file))
    assert main(arguments) == 1
    assert said in capsys.readouterr().err
    assert world.lake.version(WITHDRAWN_SHARDS) is None


def test_a_withdrawn_shard_cannot_be_withdrawn_again_and_its_key_never_comes_back(world: World, half: Path) -> None:
    half.unlink()
    withdraw_shard(world.lake, "crawl-00002", "the newest", "me")
    with pytest.raises(LookupError, match="or it was withdrawn"):
        withdraw_shard(world.lake, "crawl-00002", "again", "me")
    world.register()
    assert [(s.shard, s.files[0].path) for s in registered_shards(world.lake)][-1] == ("crawl-00003", "c.jsonl")


def test_a_registration_that_did_not_count_before_a_withdrawal_does_not_count_after_it(
    world: World, half: Path
) -> None:
    """Another registrar had bundled the same file otherwise; its shard must not wake up and take files of others."""
    a, b, c = registered_shards(world.lake)
    register(world.lake, [replace(c, shard="crawl-00007", sequence=7, files=(*b.files, *c.files))], {})
    withdraw_shard(world.lake, b.shard, "half copied", "me")
    assert registered_shards(world.lake) == [a, c]
