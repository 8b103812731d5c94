"""The rating summary and imported ratings as people meet them: in runs, and on the command line."""

import json
from pathlib import Path

import polars as pl
import pytest

from datashop_assets.rating import interchange, summarise
from datashop_assets.records import ANNOTATIONS, CLASSIFIERS
from datashop_assets_tests.worlds import World, document, failure_of, metadata_of, worth
from resources.raters import build_rater

RATINGS = ANNOTATIONS.of("teaching")


@pytest.fixture
def parsed(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """Five shards of forty documents, and the commands pointed at this project."""
    monkeypatch.setenv("DATASHOP_PROJECT", str(world.profile.project_file))
    monkeypatch.delenv("DATASHOP_HOME", raising=False)
    monkeypatch.delenv("DATASHOP_LAKE", raising=False)
    world.land_shards(5)
    world.run("parse_and_embed_shards")
    return world


def train_on_imported(world: World) -> None:
    """From now on, lens teaching has ratings made elsewhere."""
    raters = {"scripted": {"backend": "openai", "model": "m", "base_url": "http://127.0.0.1:9/v1"}}
    raters["elsewhere"] = {"backend": "imported", "model": "gpt4"}
    lens = {"sample_per_shard": 40, "cutoff": {"keep_fraction": 0.25}}
    world.raters["elsewhere"] = build_rater(world.graph.project.raters["scripted"].model_copy(
        update={"backend": "imported", "model": "gpt4"}), world.profile.cache)  # fmt: skip
    world.change_project(
        raters=raters, lenses={"teaching": lens | {"rater": "elsewhere"}, "clarity": lens | {"rater": "scripted"}}
    )


def ratings_file(folder: Path, numbers: range) -> Path:
    file = folder / "ratings.jsonl"
    file.write_text("".join(json.dumps({"text": document(n), "score": 1 + worth(document(n))}) + "\n" for n in numbers))
    return file


def test_the_summary_shows_tables_and_writes_every_rating(parsed: World) -> None:
    reasons = {"doc7": "refused", "doc8": "too_short", "doc9": "empty_document"}
    parsed.judge = lambda text: reasons.get(text.split()[0], worth(text))
    parsed.run("rate_documents", "teaching")
    facts = metadata_of(parsed.run("summarise_ratings", "teaching"), "rating_summary")["teaching"]
    assert (facts["judgements"], facts["failed"], facts["skipped"]) == (200, 1, 2)
    assert facts["scores"].startswith("![")
    folder = parsed.profile.home / "summaries" / "teaching"
    rows = [json.loads(line) for line in (folder / "ratings.jsonl").read_text().splitlines()]
    assert {(row["shard"], row["id"]) for row in rows} == set(parsed.read(RATINGS).select("shard", "id").rows())
    assert all(row["score"] == worth(row["text"]) for row in rows if row["reason"] is None)
    [row] = pl.read_csv(folder / "classes.csv").to_dicts()
    good = sum(worth(document(n)) >= 4.375 for n in range(200) if n not in (7, 8, 9)) / 197
    assert row["good"] == pytest.approx(good)


def test_cut_offs_of_one_run_come_from_its_config(parsed: World) -> None:
    parsed.run("rate_documents", "teaching")
    everything = {"good": {"every": 0, "overall": 0}, "medium": {"every": 0, "overall": 0},
                  "low": {"every": 0, "overall": 0}}  # fmt: skip
    parsed.run("summarise_ratings", "teaching", config={"rating_summary": everything})
    file = parsed.profile.home / "summaries" / "teaching" / "classes.csv"
    assert pl.read_csv(file)["good"].to_list() == [1.0]
    wrong = {"good": {"every": 0, "overall": 0}}
    message = failure_of(parsed.run("summarise_ratings", "teaching", config={"rating_summary": wrong}, fails=True))
    assert "the class good asks for less than the one below it" in message


def test_a_summary_of_nothing_says_what_to_do(parsed: World) -> None:
    facts = metadata_of(parsed.run("summarise_ratings", "teaching"), "rating_summary")["teaching"]
    assert "nothing is rated through this lens as it is now" in facts["note"]
    assert facts["classes"] == "*no rows*"


def test_the_summary_command_prints_what_the_asset_shows(parsed: World, capsys: pytest.CaptureFixture[str]) -> None:
    parsed.run("rate_documents", "teaching")
    assert summarise.main(["--lens", "teaching", "--lens", "clarity", "--write"]) == 0
    printed = capsys.readouterr().out
    assert "| crawl" in printed
    assert "clarity: nothing is rated through this lens as it is now" in printed
    assert (parsed.profile.home / "summaries" / "teaching" / "means.csv").exists()
    assert summarise.main(["--lens", "wit"]) == 1
    assert "no enabled score lens 'wit'; there are: clarity, teaching" in capsys.readouterr().err


def test_a_classifier_learns_from_ratings_made_elsewhere(parsed: World, tmp_path: Path, capsys) -> None:
    train_on_imported(parsed)
    file = ratings_file(tmp_path, range(200))
    given = ["import", "--lens", "teaching", "--rater", "gpt4", "--by", "text", "--scale", "1", "6", str(file)]
    assert interchange.main(given) == 0
    assert "200 documents rated by imported-gpt4" in capsys.readouterr().out
    stored = parsed.read(RATINGS)
    assert set(stored["rater"]) == {"imported-gpt4"}
    parsed.run("train_and_promote_classifier", "teaching")
    assert parsed.read(CLASSIFIERS)["passed"].to_list() == [True]
    assert parsed.reconcile() != []


def test_asking_a_rater_whose_ratings_are_imported_says_how_to_import(parsed: World, tmp_path: Path) -> None:
    train_on_imported(parsed)
    message = failure_of(parsed.run("rate_documents", "teaching", fails=True))
    assert "interchange import --lens teaching --rater gpt4 FILE" in message


def test_a_rater_that_is_asked_is_compared_with_one_that_rated_elsewhere(parsed: World, tmp_path: Path, capsys) -> None:
    """The imported rater is asked neither about documents nor about exemplars."""
    train_on_imported(parsed)
    lens = {"rater": "scripted", "also_rated_by": ["elsewhere"], "sample_per_shard": 40}
    parsed.change_project(lenses={"teaching": lens})
    assert interchange.main(["import", "--lens", "teaching", "--rater", "gpt4", "--by", "text", "--scale", "1", "6",
                             str(ratings_file(tmp_path, range(200)))]) == 0  # fmt: skip
    parsed.run("rate_documents", "teaching")
    facts = metadata_of(parsed.run("report_on_raters", "teaching"), "rater_report")["teaching"]
    assert "| 200 |" in facts["raters with each other"], "all documents that both have rated"


def test_what_is_not_matched_is_printed_and_written(parsed: World, tmp_path: Path, capsys) -> None:
    file, unmatched = ratings_file(tmp_path, range(198, 230)), tmp_path / "unmatched.jsonl"
    given = ["import", "--lens", "teaching", "--rater", "gpt4", "--by", "text", "--scale", "1", "6"]
    assert interchange.main([*given, "--unmatched", str(unmatched), str(file)]) == 0
    printed = capsys.readouterr().out
    assert "32 rows, 30 of them without a document" in printed
    assert f"{file}:3: " in printed
    assert "and 10 more" in printed
    assert len(unmatched.read_text().splitlines()) == 30


def test_the_export_command_says_where_the_ratings_are(parsed: World, tmp_path: Path, capsys) -> None:
    parsed.run("rate_documents", "teaching")
    out = tmp_path / "out" / "ratings.parquet"
    assert interchange.main(["export", "--lens", "teaching", "--text", str(out)]) == 0
    assert f"teaching: 200 ratings in {out}" in capsys.readouterr().out
    assert pl.read_parquet(out)["text"].null_count() == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(["export", "--lens", "wit", "x.jsonl"], "enables no lens 'wit'", id="a lens that is not enabled"),
        pytest.param(["export", "--lens", "teaching", "x.csv"], "must end in one of .jsonl, .parquet", id="a format"),
        pytest.param(
            ["import", "--lens", "teaching", "--rater", "a/b", "x.jsonl"], "cannot name a rater", id="a rater's name"
        ),
        pytest.param(
            ["import", "--lens", "teaching", "--rater", "a", "nowhere.jsonl"], "nowhere.jsonl", id="a missing file"
        ),
    ],
)
def test_what_cannot_be_done_is_one_line(parsed: World, arguments, message, capsys) -> None:
    assert interchange.main(arguments) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert message in error
