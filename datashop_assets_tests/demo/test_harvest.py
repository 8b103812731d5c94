"""The demo's crawl: real texts of this machine, mixed, in several formats, written once."""

import hashlib
import statistics
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from datashop_assets.corpus.bundling import bundle
from datashop_assets.corpus.documents import parse_shard
from datashop_assets.corpus.readers import format_of
from datashop_assets.demo import harvest as harvesting
from datashop_assets.demo.harvest import MIX, HarvestError, harvest
from datashop_assets.demo.sources import LONGEST, PIECE, SHORTEST, SOURCES, SourceText, pieces
from datashop_assets.project import Landing, load_project
from datashop_assets.records import Shard
from resources.landing import FsspecLandingArea

AREA = FsspecLandingArea()
TITLE = 200  # the longest title and heading before a section of an article


@pytest.fixture(scope="module")
def real_texts() -> dict[str, list[SourceText]]:
    return {name: list(find()) for name, find in SOURCES.items()}


@pytest.fixture
def real_sources(monkeypatch: pytest.MonkeyPatch, real_texts: dict[str, list[SourceText]]) -> None:
    """The real texts, looked for once for all tests; it takes some seconds."""
    monkeypatch.setattr(harvesting, "SOURCES", {name: texts.__iter__ for name, texts in real_texts.items()})


@pytest.fixture
def few_sources(monkeypatch: pytest.MonkeyPatch) -> None:
    """Made-up texts, where only the writing is looked at."""

    def texts(name: str) -> Iterator[SourceText]:
        return (SourceText(name, f"{name}:{n}", "MIT", f"{name} text {n}") for n in range(400))

    monkeypatch.setattr(harvesting, "SOURCES", {name: lambda name=name: texts(name) for name in MIX})


def landing(folder: Path) -> Landing:
    project = load_project(Path(harvesting.__file__).parents[2] / "datashop.yaml")
    return project.landing("demo").model_copy(update={"url": str(folder)})


def shards(folder: Path) -> list[Shard]:
    return bundle(AREA.list_files(landing(folder)), [], landing(folder), now=4e9)


def documents(folder: Path) -> pl.DataFrame:
    return pl.concat(parse_shard(s, landing(folder), AREA.open_file).documents for s in shards(folder))


def reasons(folder: Path) -> Counter[str]:
    total: Counter[str] = Counter()
    for shard in shards(folder):
        total.update(parse_shard(shard, landing(folder), AREA.open_file).reasons)
    return total


def fingerprint(folder: Path) -> dict[str, str]:
    files = AREA.list_files(landing(folder))
    return {f.path: hashlib.sha256((folder / f.path).read_bytes()).hexdigest() for f in files}


@pytest.mark.usefixtures("real_sources")
def test_the_demo_crawl_is_large_and_mixed_enough(tmp_path: Path) -> None:
    report = harvest(tmp_path)
    found = documents(tmp_path)
    assert report.documents == found.height >= 1500
    assert dict(found["source"].value_counts().iter_rows()) == report.sources
    assert set(report.sources) == set(MIX)
    assert len(shards(tmp_path)) >= 6
    assert 800 <= statistics.median(found["chars"]) <= 1600
    assert found["chars"].max() <= 4000
    assert found["license"].null_count() == 0, "the project file names the column of the licences"
    for _, per_file in found.group_by("file"):
        assert per_file["source"].n_unique() >= 3


@pytest.mark.usefixtures("real_sources")
def test_the_later_crawl_brings_only_new_texts_in_files_that_sort_after(tmp_path: Path) -> None:
    harvest(tmp_path)
    first = documents(tmp_path)
    registered = shards(tmp_path)
    report = harvest(tmp_path, crawl="later")
    new = bundle(AREA.list_files(landing(tmp_path)), registered, landing(tmp_path), now=4e9)
    later = pl.concat(parse_shard(s, landing(tmp_path), AREA.open_file).documents for s in new)
    assert later.height == report.documents == 150
    assert not set(first["text_sha"]) & set(later["text_sha"])
    assert min(later["file"]) > max(first["file"])


def test_real_texts_say_where_they_come_from_and_how_they_may_be_copied(
    real_texts: dict[str, list[SourceText]],
) -> None:
    for name, texts in real_texts.items():
        assert texts, f"no text of {name} on this machine"
        for text in texts:
            assert text.source == name
            assert text.origin
            assert text.license
            assert SHORTEST <= len(text.text) <= PIECE + LONGEST + TITLE


def test_articles_are_free_of_markup(real_texts: dict[str, list[SourceText]]) -> None:
    marked = [t for t in real_texts["encyclopedia"] if any(mark in t.text for mark in ("[[", "{{", "<ref", "{|"))]
    assert len(marked) / len(real_texts["encyclopedia"]) < 0.01


@pytest.mark.usefixtures("few_sources")
def test_the_files_are_of_every_format_that_the_demo_shows(tmp_path: Path) -> None:
    harvest(tmp_path, documents=80)
    endings = Counter(format_of(file.path) for file in AREA.list_files(landing(tmp_path)))
    assert set(endings) == {".parquet", ".jsonl.zst", ".jsonl.gz", ".jsonl", ".arrow"}
    assert sum(endings.values()) >= 8


@pytest.mark.usefixtures("few_sources")
def test_rows_broken_on_purpose_are_reported_and_quarantined(tmp_path: Path) -> None:
    report = harvest(tmp_path)
    assert report.broken.keys() == {"cut off", "empty text", "no text column", "not UTF-8", "null text", "repeated"}
    expected = {
        "invalid_json": report.broken["cut off"],
        "empty_text": report.broken["empty text"],
        "missing_column": report.broken["no text column"],
        "not_utf8": report.broken["not UTF-8"],
        "null_text": report.broken["null text"],
        "duplicate_text": report.broken["repeated"],
    }
    assert reasons(tmp_path) == expected


@pytest.mark.usefixtures("few_sources")
def test_harvesting_again_changes_nothing(tmp_path: Path) -> None:
    first = harvest(tmp_path, documents=80)
    before = AREA.list_files(landing(tmp_path))
    again = harvest(tmp_path, documents=80)
    assert again == replace(first, written=False)
    assert AREA.list_files(landing(tmp_path)) == before


@pytest.mark.usefixtures("few_sources")
def test_a_harvest_that_was_cut_off_leaves_nothing_to_read_and_is_done_again(tmp_path: Path) -> None:
    harvest(tmp_path / "whole", documents=80)
    rest = tmp_path / "cut" / ".crawl-2026-10.unfinished"
    rest.mkdir(parents=True)
    (rest / "part-00099.jsonl").write_text("{")
    assert AREA.list_files(landing(tmp_path / "cut")) == []
    harvest(tmp_path / "cut", documents=80)
    assert fingerprint(tmp_path / "cut") == fingerprint(tmp_path / "whole")


@pytest.mark.usefixtures("few_sources")
def test_the_seed_decides_what_is_in_the_crawl(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        harvest(tmp_path / name, documents=80, seed=seed)
    assert fingerprint(tmp_path / "a") == fingerprint(tmp_path / "b")
    assert fingerprint(tmp_path / "a") != fingerprint(tmp_path / "c")


@pytest.mark.usefixtures("few_sources")
def test_a_smaller_crawl_keeps_the_mix(tmp_path: Path) -> None:
    report = harvest(tmp_path, documents=300)
    assert report.documents == pytest.approx(300, abs=5)
    for name, share in MIX.items():
        assert report.sources[name] == pytest.approx(3 * share, abs=1)


@pytest.mark.usefixtures("few_sources")
def test_a_missing_source_is_reported_and_the_rest_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(harvesting.SOURCES, "encyclopedia", lambda: iter(()))  # type: ignore[arg-type]
    report = harvest(tmp_path, documents=100)
    assert report.shortfall == {"encyclopedia": 20}
    assert "too few encyclopedia: 20 short" in str(report)
    assert documents(tmp_path).height == 80


@pytest.mark.usefixtures("few_sources")
def test_a_machine_with_too_little_text_is_told_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("encyclopedia", "python_code", "readme"):
        monkeypatch.setitem(harvesting.SOURCES, name, lambda: iter(()))  # type: ignore[arg-type]
    with pytest.raises(HarvestError, match="encyclopedia, python_code, readme"):
        harvest(tmp_path, documents=100)
    assert list(tmp_path.rglob("*.parquet")) == []


@pytest.mark.models
@pytest.mark.usefixtures("few_sources")
def test_the_arrow_folder_is_a_saved_dataset(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    report = harvest(tmp_path, documents=80)
    (folder,) = {file.parent for file in Path(report.folder).rglob("state.json")}
    assert set(datasets.load_from_disk(folder).column_names) == {"id", "text", "source", "origin", "license"}


@pytest.mark.parametrize(
    ("text", "lengths"),
    [
        pytest.param("a" * 299, [], id="too short to be a document"),
        pytest.param("a" * 300, [300], id="short"),
        pytest.param("\n\n".join(["a" * 700] * 4), [1402, 1402], id="cut between paragraphs"),
        pytest.param("a" * 2600, [2600], id="a paragraph that is not too long stays whole"),
        pytest.param("a" * 3000, [1200, 1200, 600], id="a paragraph that is too long is cut within"),
        pytest.param("a" * 1300 + "\n\n" + "b" * 200, [1300], id="a short rest is left out"),
    ],
)
def test_pieces(text: str, lengths: list[int]) -> None:
    assert [len(piece) for piece in pieces(text)] == lengths


def test_a_folder_with_files_of_somebody_else_is_not_written_to(tmp_path: Path) -> None:
    (tmp_path / "mine.jsonl").write_text('{"text": "my own corpus"}\n')
    with pytest.raises(HarvestError, match=r"mine\.jsonl"):
        harvest(tmp_path, documents=20)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.jsonl"]
