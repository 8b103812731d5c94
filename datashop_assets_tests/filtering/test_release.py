"""A release stands alone, is whole or not there, is the same bytes each time, and loads in other people's tools."""

import json
import math
import os
import random
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
import yaml
import zstandard

from datashop_assets.filtering.formats import COLUMNS
from datashop_assets.filtering.release import ReleaseError, verify_release, write_release

# Text that breaks careless writers: line and paragraph separators, quotes, a null, a lone BOM, braces, emoji.
from datashop_assets_tests.filtering.release_samples import EVERYTHING, FORMATS, batch, batches, contents, facts
from datashop_assets_tests.filtering.tokenizers_for_tests import small_tokenizer


def test_both_formats_hold_every_row_in_order(tmp_path: Path) -> None:
    write_release(tmp_path / "r", batches(), facts())
    assert pl.read_parquet(tmp_path / "r/data/train-00000-of-00001.parquet").equals(EVERYTHING)
    lines = zstandard.decompress((tmp_path / "r/jsonl/train-00000-of-00001.jsonl.zst").read_bytes(), 1_000_000)
    read = pl.DataFrame([json.loads(line) for line in lines.decode().split("\n") if line], schema=COLUMNS)
    assert read.equals(EVERYTHING)


def test_files_roll_by_size_and_the_manifest_counts_them(tmp_path: Path) -> None:
    info = write_release(tmp_path / "r", batches(), facts(file_bytes=1))
    names = sorted(p.name for p in (tmp_path / "r/data").iterdir())
    assert names == ["train-00000-of-00002.parquet", "train-00001-of-00002.parquet"]
    assert {f["path"]: f["rows"] for f in info.manifest["files"] if "rows" in f} == {
        "data/train-00000-of-00002.parquet": 4,
        "data/train-00001-of-00002.parquet": 3,
        "jsonl/train-00000-of-00002.jsonl.zst": 4,
        "jsonl/train-00001-of-00002.jsonl.zst": 3,
    }
    assert (info.documents, info.sources) == (7, {"encyclopedia": 3, "pipe|d": 4})


def test_the_same_inputs_give_the_same_bytes(tmp_path: Path) -> None:
    everything = {"formats": FORMATS, "sort_by_score": "within_files", "file_bytes": 1}
    for name in ("one", "two"):
        write_release(tmp_path / name, batches(), facts(**everything), small_tokenizer())
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_the_checksums_can_be_checked_without_us(tmp_path: Path) -> None:
    write_release(tmp_path / "r", batches(), facts())
    checked = subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=tmp_path / "r", capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert checked.stdout.count(": OK") == 5


def unread() -> Iterator[pl.DataFrame]:
    raise AssertionError("the corpus was read again")
    yield


def test_the_same_release_again_reads_and_writes_nothing(tmp_path: Path) -> None:
    first = write_release(tmp_path / "r", batches(), facts())
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "r").rglob("*")}
    again = write_release(tmp_path / "r", unread(), facts())
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "r").rglob("*")} == before
    assert (first.reused, again.reused) == (False, True)
    assert (again.documents, again.bytes, again.sources) == (first.documents, first.bytes, first.sources)
    assert again.licenses == first.licenses == {"CC-BY-SA-4.0": 3, None: 4}


def test_a_folder_of_another_release_is_not_touched(tmp_path: Path) -> None:
    write_release(tmp_path / "r", batches(), facts())
    before = contents(tmp_path / "r")
    with pytest.raises(ReleaseError, match="holds release 0123456789abcdef, not other"):
        write_release(tmp_path / "r", unread(), facts("other"))
    assert contents(tmp_path / "r") == before


def damage_text(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1] + b"!")


@pytest.mark.parametrize(
    ("file", "how", "problem"),
    [
        pytest.param("data/train-00000-of-00001.parquet", damage_text, "was altered", id="altered data"),
        pytest.param("jsonl/train-00000-of-00001.jsonl.zst", Path.unlink, "is missing", id="missing data"),
        pytest.param("README.md", damage_text, "was altered", id="altered card"),
        pytest.param("manifest.json", Path.unlink, "is missing", id="missing manifest"),
        pytest.param("manifest.json", damage_text, "cannot be read", id="broken manifest"),
        pytest.param("SHA256SUMS", Path.unlink, "is missing", id="missing checksums"),
        pytest.param("data/train-more.parquet", Path.touch, "is not listed", id="a file that would be loaded too"),
    ],
)
def test_damage_is_found_named_and_never_taken_for_the_release(tmp_path: Path, file: str, how, problem: str) -> None:
    write_release(tmp_path / "r", batches(), facts())
    assert verify_release(tmp_path / "r") == []
    how(tmp_path / "r" / file)
    problems = verify_release(tmp_path / "r")
    assert len(problems) == 1
    assert file in problems[0]
    assert problem in problems[0]
    with pytest.raises(ReleaseError, match=r"damaged.*Remove it"):
        write_release(tmp_path / "r", unread(), facts())


def test_checksums_that_were_forged_along_are_found_by_the_manifest(tmp_path: Path) -> None:
    write_release(tmp_path / "r", batches(), facts())
    data, sums = tmp_path / "r/data/train-00000-of-00001.parquet", tmp_path / "r/SHA256SUMS"
    damage_text(data)
    line = subprocess.run(["sha256sum", str(data)], capture_output=True, text=True, check=True).stdout.split()[0]
    kept = [row for row in sums.read_text().splitlines(keepends=True) if "parquet" not in row]
    sums.write_text("".join([f"{line}  data/train-00000-of-00001.parquet\n", *kept]))
    assert verify_release(tmp_path / "r") == ["data/train-00000-of-00001.parquet was altered"]


@pytest.mark.parametrize("nothing", [[], [batch("crawl-0", 0)]], ids=["no shard", "only empty shards"])
def test_an_empty_release_is_refused(tmp_path: Path, nothing: list[pl.DataFrame]) -> None:
    with pytest.raises(ReleaseError, match=r"'teaching' would be empty.*Lower the bound"):
        write_release(tmp_path / "r", nothing, facts())
    assert [p for p in tmp_path.iterdir() if p.is_dir()] == []


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        pytest.param(pl.lit(None, pl.String).alias("text"), r"null text among .*crawl-0", id="no text"),
        pytest.param(pl.lit(1.0).alias("score"), "score is Float64, not Float32", id="another type"),
    ],
)
def test_a_batch_that_does_not_fit_leaves_nothing_behind(tmp_path: Path, change: pl.Expr, fault: str) -> None:
    with pytest.raises(ReleaseError, match=fault):
        write_release(tmp_path / "r", [batch("crawl-1", 2), batch("crawl-0", 2).with_columns(change)], facts())
    assert [p for p in tmp_path.iterdir() if p.is_dir()] == []


def test_a_source_may_be_unknown(tmp_path: Path) -> None:
    rows = batch("crawl-0", 2).with_columns(source=pl.lit(None, pl.String))
    assert write_release(tmp_path / "r", [rows], facts()).sources == {"unknown": 2}


def write_and_die(directory: str) -> None:
    """Runs in a process of its own: killed between two shards."""

    def dying() -> Iterator[pl.DataFrame]:
        yield batch("crawl-0", 4)
        os.kill(os.getpid(), signal.SIGKILL)

    write_release(Path(directory), dying(), facts())


def test_a_killed_writer_leaves_no_release_and_the_next_one_is_clean(tmp_path: Path) -> None:
    write_release(tmp_path / "undisturbed", batches(), facts())
    call = f"from {__name__} import write_and_die; write_and_die({str(tmp_path / 'r')!r})"
    killed = subprocess.run([sys.executable, "-c", call], cwd=Path(__file__).parents[2], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert not (tmp_path / "r").exists()
    assert (tmp_path / ".r.partial").exists()
    write_release(tmp_path / "r", batches(), facts())
    assert contents(tmp_path / "r") == contents(tmp_path / "undisturbed")
    assert not (tmp_path / ".r.partial").exists()


def write_on_a_small_disk(directory: str) -> None:
    """Runs in a process of its own, in which no file can be larger than some kilobytes."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
    text = random.Random(0).randbytes(20_000).hex()
    try:
        write_release(Path(directory), [batch("crawl-0", 3).with_columns(text=pl.lit(text))], facts())
    except ReleaseError as error:
        sys.stdout.write(str(error))


def test_a_full_disk_is_named_and_nothing_half_is_left(tmp_path: Path) -> None:
    call = f"from {__name__} import write_on_a_small_disk; write_on_a_small_disk({str(tmp_path / 'r')!r})"
    done = subprocess.run([sys.executable, "-c", call], cwd=Path(__file__).parents[2], capture_output=True, text=True)
    assert f"no room for its files below {tmp_path}" in done.stdout, done.stderr
    assert "Make room" in done.stdout
    assert [path for path in tmp_path.iterdir() if path.is_dir()] == []


def test_the_card_says_what_a_reader_needs(tmp_path: Path) -> None:
    write_release(tmp_path / "r", batches(), facts())
    _, header, text = (tmp_path / "r/README.md").read_text().split("---\n", 2)
    assert yaml.safe_load(header)["license"] == "other"
    assert yaml.safe_load(header)["size_categories"] == ["n<1K"]
    for said in [
        "7 documents",
        "does it teach? {yes} | no",
        "embedded (model)",
        "scores at least 2.5: 25.12%",
        "| spearman | 0.710 | 0.620 to 0.790 | 412 |",
        "| pipe\\|d | not recorded | 4 | 57.1% |",
        "| encyclopedia | CC-BY-SA-4.0 | 3 | 42.9% |",
        "The licence of 4 documents (57.1%) is not recorded.",
        "sha256sum -c SHA256SUMS",
    ]:
        assert said in text


def test_bounds_by_source_are_told_and_stay_json(tmp_path: Path) -> None:
    quotas = replace(facts().cutoff, lower=None, lower_by_source={"web": 2.25, "*": math.inf})
    info = write_release(tmp_path / "r", batches(), replace(facts(), cutoff=quotas))
    assert "by source, scores at least: * none, web 2.25" in (tmp_path / "r/README.md").read_text()
    text = (tmp_path / "r/manifest.json").read_text()
    assert "Infinity" not in text
    bounds = [{"source": "web", "lower": 2.25}, {"source": "*", "lower": None}]
    assert json.loads(text)["cutoff"]["lower_by_source"] == info.manifest["cutoff"]["lower_by_source"] == bounds


def licensed(shard: str, rows: int, *licenses: str | None) -> pl.DataFrame:
    """A batch of one source; its rows take the licences in turn."""
    values = [licenses[n % len(licenses)] for n in range(rows)]
    return batch(shard, rows).with_columns(source=pl.lit("web"), license=pl.Series(values, dtype=pl.String))


def test_documents_are_counted_by_source_and_licence(tmp_path: Path) -> None:
    shards = [licensed("crawl-0", 3, "MIT", None), licensed("crawl-1", 5, "0BSD", "MIT"), batch("crawl-2", 4)]
    info = write_release(tmp_path / "r", shards, facts())
    assert info.manifest["licenses"] == [
        {"source": "web", "license": "MIT", "documents": 4},
        {"source": "web", "license": "0BSD", "documents": 3},
        {"source": "web", "license": None, "documents": 1},
        {"source": "encyclopedia", "license": "CC-BY-SA-4.0", "documents": 2},
        {"source": "pipe|d", "license": None, "documents": 2},
    ]
    assert info.manifest["documents_without_license"] == 3
    assert info.licenses == {"MIT": 4, "0BSD": 3, "CC-BY-SA-4.0": 2, None: 3}
    assert info.sources == {"web": 8, "encyclopedia": 2, "pipe|d": 2}
    card = (tmp_path / "r/README.md").read_text()
    assert "| web | MIT | 4 | 33.3% |\n| web | 0BSD | 3 | 25.0% |\n| web | not recorded | 1 | 8.3% |\n" in card


def test_only_a_release_whose_every_document_has_one_licence_is_said_to_have_it(tmp_path: Path) -> None:
    write_release(tmp_path / "one", [licensed("crawl-0", 3, "MIT")], facts())
    write_release(tmp_path / "some", [licensed("crawl-0", 3, "MIT"), licensed("crawl-1", 3, "MIT", None)], facts())
    tags = {}
    for name in ("one", "some"):
        _, header, text = (tmp_path / name / "README.md").read_text().split("---\n", 2)
        tags[name] = yaml.safe_load(header)["license"]
        assert tags[name] == json.loads((tmp_path / name / "manifest.json").read_text())["license"]
        assert ("is not recorded." in text) == (name == "some")
    assert tags == {"one": "mit", "some": "other"}


@pytest.mark.models
@pytest.mark.parametrize("folder", ["r", "r/jsonl"], ids=["the folder is its parquet", "jsonl by its folder"])
def test_it_loads_with_datasets(tmp_path: Path, folder: str) -> None:
    import datasets

    write_release(tmp_path / "r", batches(), facts(file_bytes=1))
    loaded = datasets.load_dataset(str(tmp_path / folder), cache_dir=str(tmp_path / "cache"))
    assert list(loaded) == ["train"]
    train = loaded["train"]
    assert train.column_names == list(COLUMNS)
    assert train["text"][:] == EVERYTHING["text"].to_list()
    assert train["id"][:] == EVERYTHING["id"].to_list()
    assert train["license"][:] == EVERYTHING["license"].to_list()
    assert train["score"][:] == EVERYTHING["score"].to_list()
    assert train["int_score"][:] == EVERYTHING["int_score"].to_list()
    assert [feature.dtype for feature in train.features.values()] == [
        "string",
        "string",
        "string",
        "string",
        "float32",
        "int8",
        "string",
    ]


@pytest.mark.models
@pytest.mark.parametrize("folder", ["r", "r/jsonl"], ids=["the folder is its parquet", "jsonl by its folder"])
@pytest.mark.parametrize(
    "second",
    [pytest.param("MIT", id="known later on"), pytest.param(None, id="never known")],
)
def test_it_loads_with_datasets_where_the_first_file_knows_no_licence(
    tmp_path: Path, folder: str, second: str | None
) -> None:
    import datasets

    shards = [licensed("crawl-0", 3, None), licensed("crawl-1", 3, second)]
    write_release(tmp_path / "r", shards, facts(file_bytes=1))
    train = datasets.load_dataset(str(tmp_path / folder), cache_dir=str(tmp_path / "cache"), split="train")
    assert train["license"][:] == [None] * 3 + [second] * 3
    assert train.features["license"].dtype == "string"
