"""What changed between two releases, and why: one cause at a time, and counts that add up."""

import json
from pathlib import Path

import polars as pl
import pytest

from datashop_assets.corpus.registry import withdraw_shard
from datashop_assets.records import RELEASES
from datashop_assets.tracing import changes
from datashop_assets.tracing.release_diff import ReleaseDiff, diff_releases
from datashop_assets.tracing.views import TraceError
from datashop_assets_tests.tracing.traced_worlds import LENS, Traced, finished_world
from datashop_assets_tests.worlds import JUNK, worth


@pytest.fixture
def traced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Traced:
    return Traced(finished_world(tmp_path, monkeypatch, shards=3))


def newest(traced: Traced) -> str:
    return str(traced.world.read(RELEASES).sort("created_at")["release"][-1])


def reasons(diff: ReleaseDiff) -> dict[tuple[str, str], int]:
    return {(change, reason): n for change, reason, n in diff.by_reason.drop("characters").iter_rows()}


def released_ids(traced: Traced, release: str) -> set[tuple[str, str]]:
    folder = traced.world.profile.releases / LENS / release / "data"
    return set(pl.read_parquet(folder / "*.parquet").select("shard", "id").iter_rows())


def test_a_moved_cutoff_is_the_reason_of_all_that_it_moves(traced: Traced) -> None:
    before = newest(traced)
    traced.ask(cutoff={"keep_fraction": 0.1})
    diff = diff_releases(traced.history, before, traced.release())
    lost = released_ids(traced, before) - released_ids(traced, diff.after.release)
    assert reasons(diff) == {("removed", "cut-off moved"): len(lost)}
    assert diff.in_both == diff.after.documents == 12
    back = diff_releases(traced.history, diff.after.release, before)
    assert reasons(back) == {("added", "cut-off moved"): len(lost)}
    with pytest.raises(TraceError, match="no release is called 'nothing'"):
        diff_releases(traced.history, before, "nothing")


def test_a_new_shard_is_the_reason_of_what_it_adds(traced: Traced) -> None:
    before = newest(traced)
    traced.world.land_shards(1, start=3)
    traced.world.run("parse_and_embed_shards")
    diff = diff_releases(traced.history, before, traced.release())
    new = {place for place in released_ids(traced, diff.after.release) if place[0] == traced.world.shards[3]}
    assert reasons(diff)["added", "new shard"] == len(new) > 0
    examples = diff.examples.filter(pl.col("reason") == "new shard")
    assert set(examples["shard"]) == {traced.world.shards[3]}
    assert all(text.startswith("doc1") for text in examples["text"])


def test_another_classifier_is_told_from_a_moved_cutoff(traced: Traced) -> None:
    before = newest(traced)
    traced.world.judge = lambda text: worth(text) / 2  # another rater, who is stricter
    traced.ask(rater="other")
    traced.world.run("rate_documents", LENS)
    traced.world.run("train_and_promote_classifier", LENS)
    diff = diff_releases(traced.history, before, traced.release())
    assert diff.before.classifier != diff.after.classifier
    assert {reason for _, reason in reasons(diff)} <= {"classifier changed"}
    turned = diff_releases(traced.history, diff.after.release, before)
    assert turned.documents("added") == diff.documents("removed")


def test_what_was_a_duplicate_is_added_when_duplicates_count_no_more(traced: Traced) -> None:
    traced.world.land("part-900", [5, 11])
    traced.world.register()
    traced.world.run("parse_and_embed_shards")
    traced.world.change_project(deduplication={"exact": True})
    traced.world.run("deduplicate")
    before = traced.release()
    traced.world.change_project(deduplication={"exact": False})
    diff = diff_releases(traced.history, before, traced.release())
    assert reasons(diff)["added", "deduplication: exact_duplicate"] == 2


def test_documents_of_a_withdrawn_shard_are_removed_with_it(traced: Traced) -> None:
    before, (*standing, last) = newest(traced), traced.world.shards
    inside = {place for place in released_ids(traced, before) if place[0] == last}
    withdraw_shard(traced.world.lake, last, "half copied", "a person", force=True)
    diff = diff_releases(traced.history, before, traced.release(standing))
    assert reasons(diff)["removed", "shard withdrawn"] == len(inside) > 0


def test_counts_add_up_to_the_releases_files_and_by_source(traced: Traced) -> None:
    before = newest(traced)
    traced.world.land("part-777", [n for n in range(200, 260) if n % 6 > 3], lines=[json.dumps({"text": JUNK[0] * 9})])
    traced.world.register()
    traced.world.run("parse_and_embed_shards")
    after = traced.release()
    diff = diff_releases(traced.history, before, after)
    old, new = released_ids(traced, before), released_ids(traced, after)
    assert (diff.in_both, diff.documents("added"), diff.documents("removed")) == (
        len(old & new),
        len(new - old),
        len(old - new),
    )
    assert diff.by_source["added"].sum() == len(new - old)
    assert diff.notes == ()
    assert json.loads(diff.to_json())["removed"] == len(old - new)


def test_how_many_shards_are_compared_at_once_changes_nothing(traced: Traced, monkeypatch: pytest.MonkeyPatch) -> None:
    before = newest(traced)
    traced.ask(cutoff={"keep_fraction": 0.6})
    after = traced.release()
    together = diff_releases(traced.history, before, after)
    monkeypatch.setattr(changes, "DOCUMENTS_AT_ONCE", 1)
    assert diff_releases(traced.history, before, after).to_json() == together.to_json()
