"""`selected_subset` and `selection_comparison` in a project: from curated ratings to a table, files and a report."""

import json
from collections.abc import Sequence
from pathlib import Path

import polars as pl
import pytest

from datashop_assets.curation.tables import CURATED_ANNOTATIONS
from datashop_assets.lineage import embeddings_version
from datashop_assets.records import DOCUMENTS, EMBEDDINGS
from datashop_assets.selection.tables import SELECTED, SELECTION_COMPARISONS, SELECTIONS
from datashop_assets_tests.worlds import (
    WordCounter,
    World,
    failure_of,
    light_export,
    metadata_of,
    write_lens,
    write_project,
)

LENS = "teaching"
TABLE = SELECTED.of(LENS)
SETTINGS = {"rater": "scripted", "sample_per_shard": 40, "cutoff": {"keep_fraction": 0.25}}


def world_of(folder: Path, **selection: object) -> World:
    """Two shards, rated and curated; the lens selects as asked."""
    lens = SETTINGS | {"selection": {"rows": 20} | selection}
    world = World(write_project(folder, lenses={LENS: lens, "clarity": SETTINGS}).parent)
    world.land_shards(2)
    world.run("parse_and_embed_shards")
    world.run("rate_documents", LENS)
    world.run("curate_annotations", LENS)
    return world


@pytest.fixture
def world(tmp_path: Path) -> World:
    return world_of(tmp_path)


def test_the_best_documents_are_selected_once_with_their_texts_and_reasons(world: World) -> None:
    first = metadata_of(world.run("select_subset", LENS), "selected_subset")[LENS]
    rows = world.read(TABLE).sort("rank")
    curated = world.read(CURATED_ANNOTATIONS.of(LENS))
    assert rows["rank"].to_list() == list(range(1, 21))
    best = curated["curated_score"].sort(descending=True)[:20].to_list()
    assert sorted(rows["curated_score"].to_list(), reverse=True) == best
    assert set(rows["reason"]) <= {"class_5", "class_4"}
    folder = Path(first["path"])
    written = pl.read_parquet(folder / "subset.parquet")
    texts = world.read(DOCUMENTS).select("shard", "id", "text")
    assert written.join(texts, on=["shard", "id", "text"]).height == 20
    assert written["id"].to_list() == rows["id"].to_list()
    lines = [json.loads(line) for line in (folder / "subset.jsonl").read_text().splitlines()]
    assert [line["text"] for line in lines] == written["text"].to_list()
    assert json.loads((folder / "manifest.json").read_text())["tokens"] == first["tokens"] == int(rows["tokens"].sum())

    again = metadata_of(world.run("select_subset", LENS), "selected_subset")[LENS]
    assert again["skipped"]
    assert again["subset"] == first["subset"]
    assert world.read(SELECTIONS).height == 1


def test_another_strategy_budget_or_seed_makes_another_subset_beside_the_first(world: World) -> None:
    world.run("select_subset", LENS)
    for config in ({"strategy": "random", "seed": 7}, {"strategy": "random", "seed": 8}, {"tokens": 100}):
        world.run("select_subset", LENS, config={"selected_subset": config})
    kept = world.read(SELECTIONS).sort("created_at")
    assert kept["strategy"].to_list() == ["ds2", "random", "random", "ds2"]
    assert kept["budget"].to_list() == ["20 rows", "20 rows", "20 rows", "100 tokens"]
    assert kept["subset"].n_unique() == 4
    by_tokens = world.lake.scan(TABLE, {"subset": [kept["subset"][3]]}).collect()
    assert by_tokens["tokens"].sum() <= 100 < by_tokens["tokens"].sum() + 13  # every document has 13 words
    draws = [set(world.lake.scan(TABLE, {"subset": [kept["subset"][n]]}).collect()["id"]) for n in (1, 2)]
    assert draws[0] != draws[1]


def test_another_tokenizer_s_tokens_make_another_subset(world: World) -> None:
    class LetterCounter(WordCounter):
        def id(self, reference: str | None = None) -> str:
            return reference or "letters"

        def count_tokens(self, texts: Sequence[str]) -> list[int]:
            return [len(text) for text in texts]

    asked = {"selected_subset": {"tokens": 200}}
    words = metadata_of(world.run("select_subset", LENS, config=asked), "selected_subset")[LENS]
    world.overrides["language_models"] = LetterCounter()
    world.reload()
    letters = metadata_of(world.run("select_subset", LENS, config=asked), "selected_subset")[LENS]
    assert letters["subset"] != words["subset"]
    assert letters["documents"] < words["documents"]


def test_documents_that_changed_since_they_were_rated_are_not_selected(world: World) -> None:
    """Another parse of the same shard, as after a correction of its files' reader."""
    table, shard = DOCUMENTS, world.shards[0]
    first = metadata_of(world.run("select_subset", LENS), "selected_subset")[LENS]
    rows = world.lake.scan(table, {"shard": [shard]}).collect()
    other = rows.with_columns(
        text=pl.col("text") + " and more", text_sha=pl.col("text_sha").str.reverse(), version=pl.lit("later")
    )
    world.lake.commit(table, other, [{"shard": shard, "version": "later"}], {})
    assert "materialize `embeddings`" in failure_of(world.run("select_subset", LENS, fails=True))
    version = embeddings_version("later", world.encoder.id)
    vectors = EMBEDDINGS.of(world.encoder.id)
    same = world.lake.scan(vectors, {"shard": [shard]}).collect().with_columns(version=pl.lit(version))
    world.lake.commit(vectors, same, [{"shard": shard, "version": version}], {})
    second = metadata_of(world.run("select_subset", LENS), "selected_subset")[LENS]
    assert second["subset"] != first["subset"]
    assert "40 documents with a score are gone or have another text" in second["note"]
    assert shard not in world.lake.scan(TABLE, {"subset": [second["subset"]]}).collect()["shard"].to_list()
    curated = metadata_of(world.run("curate_annotations", LENS), "curated_annotations")[LENS]
    assert curated["outdated judgements"] == 40
    assert curated["documents"] == 40


def test_a_curation_of_another_lens_version_is_refused(world: World) -> None:
    write_lens(world.folder / "lenses", LENS, prompt="Say how good, from {{ low }} to {{ high }}:\n{{ document }}")
    world.reload()
    said = failure_of(world.run("select_subset", LENS, fails=True))
    assert "materialize `curated_annotations`" in said
    assert "has changed since" in said


def test_new_ratings_make_another_subset(world: World) -> None:
    first = metadata_of(world.run("select_subset", LENS), "selected_subset")[LENS]
    world.land_shards(1, start=2)
    world.run("parse_and_embed_shards", shards=world.shards[2:])
    world.run("rate_documents", LENS, shards=world.shards[2:])
    world.run("curate_annotations", LENS)
    second = metadata_of(world.run("select_subset", LENS), "selected_subset")[LENS]
    assert second["subset"] != first["subset"]
    assert world.read(TABLE)["version"].n_unique() == 2


def test_files_and_rows_that_were_lost_are_made_again(world: World) -> None:
    first = metadata_of(world.run("select_subset", LENS), "selected_subset")[LENS]
    folder = Path(first["path"])
    before = (folder / "subset.parquet").read_bytes()
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()
    again = metadata_of(world.run("select_subset", LENS), "selected_subset")[LENS]
    assert not again["skipped"]
    assert (folder / "subset.parquet").read_bytes() == before
    assert world.read(TABLE).height == 20


def test_documents_that_serve_annotation_alone_are_never_selected(tmp_path: Path) -> None:
    world = world_of(tmp_path, rows=10_000)
    landing = [{"dataset": "crawl", "url": "landing", "shard_bytes": 1, "settle_s": 0, "pool_only": True}]
    world.change_project(landings=landing)
    world.land_shards(1, start=2)
    world.run("parse_and_embed_shards", shards=world.shards[2:])
    world.run("rate_documents", LENS, shards=world.shards[2:])
    world.run("curate_annotations", LENS)
    world.run("select_subset", LENS)
    curated = set(world.read(CURATED_ANNOTATIONS.of(LENS))["shard"])
    assert set(world.read(TABLE)["shard"]) == curated - {world.shards[2]}


def test_all_scored_documents_can_be_chosen_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datashop_assets.classifier.produce.export", light_export)
    world = world_of(tmp_path, population="scored", rows=30)
    world.land_shards(2, start=2)
    world.run("parse_and_embed_shards", shards=world.shards[2:])
    assert "promot" in failure_of(world.run("select_subset", LENS, fails=True))
    world.run("train_and_promote_classifier", LENS)
    world.run("score_documents", LENS)
    world.run("select_subset", LENS)
    rows = world.read(TABLE)
    assert rows.height == 30
    assert set(rows["shard"]) == set(world.shards), "only two of the four shards are rated"
    assert rows["rareness"].null_count() == 0


def test_strategies_are_compared_on_the_same_documents(tmp_path: Path) -> None:
    world = world_of(tmp_path, compare=["ds2", "random", "full"], compare_seeds=[1, 2])
    facts = metadata_of(world.run("compare_selections", LENS), "selection_comparison")[LENS]
    assert facts["strategies"] == 3
    assert facts["budgets"] == "20 rows, 10 rows, 5 rows"
    assert all(facts[name].startswith("![") for name in ("overlap", "score and diversity", "source mix"))
    assert "| full | 20 rows | 2 | 80 |" in facts["means over seeds"]
    assert facts["note"].splitlines()[0].startswith("- full: the budget of 20 rows does not bind")
    again = metadata_of(world.run("compare_selections", LENS), "selection_comparison")[LENS]
    assert again["skipped"]
    assert again["means over seeds"] == facts["means over seeds"]
    assert world.read(SELECTION_COMPARISONS).height == 1


@pytest.mark.parametrize(
    ("config", "says"),
    [
        pytest.param({"strategy": "nonsense"}, "no strategy 'nonsense'", id="an unknown strategy"),
        pytest.param({"rows": 3, "tokens": 5}, "not in both", id="two budgets"),
        pytest.param({"tokens": 5}, "does not fit", id="a budget below the first document"),
    ],
)
def test_what_cannot_be_selected_is_said(world: World, config: dict[str, object], says: str) -> None:
    result = world.run("select_subset", LENS, config={"selected_subset": config}, fails=True)
    assert says in failure_of(result)
    assert world.lake.version(TABLE) is None


def test_without_a_curation_it_says_what_to_materialize(tmp_path: Path) -> None:
    world = World(write_project(tmp_path).parent)
    world.land_shards(1)
    world.run("parse_and_embed_shards")
    assert "materialize `curated_annotations`" in failure_of(world.run("select_subset", LENS, fails=True))
