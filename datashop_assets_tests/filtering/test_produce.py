"""What the project file says of releases: each change makes another release, of the documents that are kept."""

import json
from pathlib import Path

import polars as pl
import pytest

from datashop_assets.deduplication.tables import REPEATED_PARAGRAPHS
from datashop_assets.filtering.release import verify_release
from datashop_assets.records import FILTERED, RELEASES
from datashop_assets_tests.filtering.tokenizers_for_tests import save_as_model, small_tokenizer
from datashop_assets_tests.worlds import World, document, metadata_of

KEPT = FILTERED.of("teaching")
LENS = {"rater": "scripted", "sample_per_shard": 40, "cutoff": {"keep_fraction": 0.25}}
REPEATED = "A paragraph that stands in the document more than once."


@pytest.fixture
def filtered(world: World) -> World:
    """Every document says something twice; the second time is 57 characters."""
    return world.once(release_what_repeats_itself)


def release_what_repeats_itself(world: World) -> None:
    for part in range(3):
        texts = [f"{document(n)}\n\n{REPEATED}\n\n{REPEATED}" for n in range(part * 40, part * 40 + 40)]
        world.land(f"part-{part}", lines=[json.dumps({"text": text}) for text in texts])
    world.register()
    world.run_all("teaching")


def cut(world: World) -> Path:
    """Cut the release that the project file asks for now; its folder."""
    return Path(metadata_of(world.run("cut_release", "teaching"), "release")["teaching"]["path"])


def test_settings_of_a_release_make_another_of_the_same_documents(filtered: World, tmp_path: Path) -> None:
    first = cut(filtered)
    asked = {"formats": ["parquet", "tokenized"], "sort_by_score": "within_files", "row_group_rows": 7}
    asked["tokenizer"] = save_as_model(tmp_path / "tokenizer")
    filtered.change_project(lenses={"teaching": LENS | {"release": asked}})
    second = cut(filtered)
    assert first != second
    assert verify_release(second) == []
    before, after = (pl.read_parquet(folder / "data/*.parquet") for folder in (first, second))
    assert after.equals(before.sort("score", descending=True, maintain_order=True))
    places = pl.read_parquet(second / "tokenized/*.documents.parquet")
    assert places.select("shard", "id").equals(after.select("shard", "id"))
    tokenized = json.loads((second / "manifest.json").read_text())["tokenized"]
    assert tokenized["tokenizer_id"] == small_tokenizer().id
    assert tokenized["tokens"] == sum(len(text.encode()) + 1 for text in after["text"])
    assert filtered.read(RELEASES).height == 2


def test_repeated_paragraphs_are_cut_out_of_the_text_and_counted(filtered: World) -> None:
    whole = pl.read_parquet(cut(filtered) / "data/*.parquet")
    filtered.change_project(deduplication={"paragraphs": {}})
    filtered.run("deduplicate")
    filtered.run("set_cutoff", "teaching")
    filtered.run("filter_documents", "teaching")
    folder = cut(filtered)
    short = pl.read_parquet(folder / "data/*.parquet")
    assert short["id"].to_list() == whole["id"].to_list(), "a document keeps its id"
    assert all(text.count(REPEATED) == 1 for text in short["text"])
    removed = int((whole["text"].str.len_chars() - short["text"].str.len_chars()).sum())
    assert removed >= len(REPEATED) * short.height
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["characters_removed"] == removed
    assert manifest["tables"]["repeated_paragraphs"] == filtered.lake.version(REPEATED_PARAGRAPHS)
    again = metadata_of(filtered.run("cut_release", "teaching"), "release")["teaching"]
    assert again["skipped"] is True
