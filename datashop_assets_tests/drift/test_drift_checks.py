"""A new crawl against what cut-off and classifier were made on: told where it is another, silent where it is not."""

import json
from typing import Any

import dagster as dg
import pytest

from datashop_assets.drift.languages import sample
from datashop_assets.drift.scores import score_drift
from datashop_assets.drift.tables import LANGUAGE_SAMPLES
from datashop_assets.filtering.tables import SCORE_SKETCHES
from datashop_assets.records import DOCUMENTS
from datashop_assets_tests.tracing.traced_worlds import LENS, SETTINGS
from datashop_assets_tests.worlds import World, document

SCORES, LANGUAGES, FAILURES = (
    "new_scores_are_like_the_reference",
    "new_languages_are_like_the_reference",
    "new_ratings_fail_as_rarely",
)
ENGLISH = "This is the {} page of a book that explains how rivers run to the sea and why the tides rise and fall there."
GERMAN = (
    "Das ist die Seite {} eines Buches, das erklärt, wie die Flüsse in das Meer fließen und warum es Gezeiten gibt."
)


@pytest.fixture
def decided(world: World) -> World:
    """Four shards with a cut-off; the drift check needs 200 documents to tell a shift from chance."""
    world.change_project(lenses={LENS: SETTINGS})
    return world.once(cut_four_shards)


def cut_four_shards(world: World) -> None:
    world.land_shards(4, documents=60)
    world.run("parse_and_embed_shards")
    for job in ("rate_documents", "train_and_promote_classifier", "score_documents", "set_cutoff"):
        world.run(job, LENS)


def evaluation(result: dg.ExecuteInProcessResult, check: str) -> tuple[bool, dict[str, Any]]:
    (found,) = [each for each in result.get_asset_check_evaluations() if each.check_name == check]
    assert found.severity == dg.AssetCheckSeverity.WARN or found.passed
    return found.passed, {name: value.value for name, value in found.metadata.items()}


def land(world: World, numbers: list[int]) -> str:
    """A new shard of these documents, parsed; its key."""
    world.land(f"part-{900 + len(world.shards)}", numbers)
    world.register()
    world.run("parse_and_embed_shards", shards=world.shards[-1:])
    return world.shards[-1]


def test_without_a_new_crawl_there_is_nothing_to_tell(decided: World) -> None:
    passed, facts = evaluation(decided.run("score_documents", LENS), SCORES)
    assert passed
    assert "no shard came since" in facts["why"]


def test_a_crawl_like_the_reference_passes(decided: World) -> None:
    new = land(decided, list(range(1000, 1120)))
    passed, facts = evaluation(decided.run("score_documents", LENS, shards=[new]), SCORES)
    assert passed
    assert "1 of 1" in facts["by lens"]


def test_a_crawl_of_worse_documents_is_told_and_stops_nothing(decided: World) -> None:
    new = land(decided, [n for n in range(1000, 1360) if n % 6 < 2])
    result = decided.run("score_documents", LENS, shards=[new])
    passed, facts = evaluation(result, SCORES)
    assert result.success
    assert not passed
    pictures = [value for name, value in facts.items() if name in {"shard by shard", "furthest"}]
    assert all(value.startswith("![") and len(value) < 60_000 for value in pictures)


def test_stored_summaries_and_scores_say_the_same(decided: World) -> None:
    new = land(decided, list(range(1000, 1120)))
    decided.run("score_documents", LENS, shards=[new])
    settings, project = decided.graph.project.drift, decided.graph.project
    kept = score_drift(decided.lake, project, LENS, settings)
    stored = decided.lake.open(SCORE_SKETCHES.of(LENS))
    assert stored is not None
    stored.delete()
    read = score_drift(decided.lake, project, LENS, settings)
    assert kept is not None
    assert read is not None
    assert (read.shift, read.distance) == (kept.shift, kept.distance)
    assert read.by_shard.equals(kept.by_shard)


def test_only_so_many_shards_are_looked_at_as_asked(decided: World) -> None:
    for start in (1000, 2000, 3000):
        land(decided, list(range(start, start + 60)))
    decided.change_project(drift={"newest_shards": 2, "reference_shards": 3})
    decided.run("score_documents", LENS)
    found = score_drift(decided.lake, decided.graph.project, LENS, decided.graph.project.drift)
    assert found is not None
    assert list(found.crawl.new) == decided.shards[-2:]
    assert (len(found.crawl.reference), found.crawl.all_reference, found.crawl.all_new) == (3, 4, 3)


def land_texts(world: World, name: str, texts: list[str]) -> None:
    world.land(name, lines=[json.dumps({"text": text}) for text in texts])
    world.register()


def test_a_crawl_in_another_language_is_told_and_each_shard_is_read_once(world: World) -> None:
    world.change_project(lenses={LENS: SETTINGS | {"cutoff": {"lower": 1.0}}}, drift={"documents_per_shard": 30})
    world.land_shards(1)
    land_texts(world, "part-100", [ENGLISH.format(n) for n in range(60)])
    world.run("parse_and_embed_shards")
    for job in ("rate_documents", "train_and_promote_classifier", "score_documents", "set_cutoff"):
        world.run(job, LENS)
    land_texts(world, "part-101", [GERMAN.format(n) for n in range(60)])
    result = world.run("parse_and_embed_shards", shards=world.shards[-1:])
    passed, facts = evaluation(result, LANGUAGES)
    assert not passed
    assert "| de | 0 | 30 |" in facts["mix"]
    before = world.lake.version(LANGUAGE_SAMPLES)
    assert not evaluation(world.run("parse_and_embed_shards"), LANGUAGES)[0]
    assert world.lake.version(LANGUAGE_SAMPLES) == before


def test_a_sample_is_of_different_texts_and_the_same_every_time(decided: World) -> None:
    shard = decided.shards[0]
    first = sample(decided.lake, shard, 25)
    assert len(set(first)) == 25
    assert sorted(first) == sorted(sample(decided.lake, shard, 25))
    assert set(first) <= set(decided.read(DOCUMENTS)["text"])


def test_ratings_that_fail_more_often_since_training_are_told(decided: World) -> None:
    decided.judge = lambda text: "truncated" if document(1001) < text else 3.0
    land(decided, list(range(1000, 1120)))
    decided.change_project(lenses={LENS: SETTINGS | {"max_failure_share": 1.0}})
    passed, facts = evaluation(decided.run("rate_documents", LENS, shards=decided.shards[-1:]), FAILURES)
    assert not passed
    assert "0 of 160" in facts["by lens and rater"]
    assert "truncated" in facts["by lens and rater"]
