"""Ratings in and out of the lake: matched or listed, mapped or failed, never guessed; the same again is nothing."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datashop_assets.rating.exports import export_ratings
from datashop_assets.rating.imported_answers import AnswerColumns, on_lens_scale
from datashop_assets.rating.imports import ImportReport, Origin, import_ratings
from datashop_assets.rating.lens import Lens
from datashop_assets.rating.quality import labelled
from datashop_assets.rating.rating_files import RatingFileError
from datashop_assets.records import ANNOTATIONS, DOCUMENTS
from datashop_assets_tests.rating.rated_lakes import (
    LINEAGE,
    TEXTS,
    annotate,
    criteria,
    label_lens,
    labels,
    lake_with_documents,
    score_lens,
    sha,
)
from resources.lake import DeltaLake

LENS, LABELS = score_lens(), label_lens()


@pytest.fixture
def lake(tmp_path: Path) -> DeltaLake:
    return lake_with_documents(tmp_path)


def write(folder: Path, rows: Any, name: str = "ratings.jsonl") -> Path:
    file = folder / name
    if name.endswith(".parquet"):
        pl.DataFrame(rows).write_parquet(file)
    elif name.endswith(".json"):
        file.write_text(json.dumps(rows))
    else:
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def bring(lake: DeltaLake, file: Path, lens: Lens = LENS, **origin: Any) -> ImportReport:
    given = {"rater": "gpt4"} | origin
    return import_ratings(lake, lens, [file], Origin(**given), LINEAGE)


def scores(lake: DeltaLake, lens: Lens = LENS) -> dict[tuple[str, str], float | None]:
    rows = lake.read(ANNOTATIONS.of(lens.name)).select("shard", "id", "score").rows()
    return {(shard, id_): score for shard, id_, score in rows}


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        pytest.param("r.jsonl", [{"id": "d1", "score": 3}, {"id": "b1", "score": 1.5}], id="lines"),
        pytest.param("r.parquet", [{"id": "d1", "score": 3.0}, {"id": "b1", "score": 1.5}], id="parquet"),
        pytest.param("r.json", [{"id": "d1", "score": 3}, {"id": "b1", "score": 1.5}], id="a list"),
        pytest.param("r.json", {"d1": {"score": 3}, "b1": {"score": 1.5}}, id="a mapping from ids"),
        pytest.param("r.json", {"d1": 3, "b1": 1.5}, id="a mapping from ids to scores"),
    ],
)
def test_every_format_gives_the_same_annotations(lake: DeltaLake, tmp_path: Path, name: str, rows: Any) -> None:
    report = bring(lake, write(tmp_path, rows, name))
    assert (report.rows, report.documents, report.changed) == (2, 2, 2)
    assert scores(lake) == {("crawl-0", "d1"): 3.0, ("books-0", "b1"): 1.5}


def test_imported_ratings_are_what_a_classifier_trains_on(lake: DeltaLake, tmp_path: Path) -> None:
    bring(lake, write(tmp_path, [{"id": "d1", "score": 3}, {"id": "e1", "score": 2}]))
    assert labelled(lake, LENS, "imported-gpt4").rows() == [
        ("crawl-0", "d1", sha("one text"), 3.0),
        ("crawl-1", "e1", sha("one text"), 2.0),
    ]


def test_by_text_every_document_with_exactly_this_text_is_rated(lake: DeltaLake, tmp_path: Path) -> None:
    rows = [
        {"text": "one text", "score": 2},
        {"text": "two\r\ntexts", "score": 3},
        {"text": "two\ntexts", "score": 1},
        {"text": "half \ud800 a pair", "score": 1},
    ]
    report = bring(lake, write(tmp_path, rows), by="text")
    assert scores(lake) == {("crawl-0", "d1"): 2.0, ("crawl-1", "e1"): 2.0, ("crawl-0", "d2"): 3.0}
    assert report.documents == 3
    assert [place.rpartition(":")[2] for place in report.unmatched["place"]] == ["3", "4"]


def test_rows_without_a_document_are_listed_with_their_line_and_why(lake: DeltaLake, tmp_path: Path) -> None:
    rows = [
        {"id": "nobody", "score": 1},
        {"id": "same", "score": 1},
        {"id": "same", "shard": "books-0", "score": 2},
        {"id": "d1", "shard": "books-0", "score": 1},
        {"id": "d2", "text_sha": sha("an older text"), "score": 1},
    ]
    report = bring(lake, write(tmp_path, rows))
    found = [(place.rpartition(":")[2], key, why.split(";")[0]) for place, key, why in report.unmatched.rows()]
    assert found == [
        ("1", "nobody", "no document has it"),
        ("2", "same", "documents with different texts have this id"),
        ("4", "d1", "no document has it in shard books-0"),
        ("5", "d2", "the document has another text than the one that was rated"),
    ]
    assert scores(lake) == {("books-0", "same"): 2.0}


def test_ids_that_are_whole_numbers_match(tmp_path: Path, lake: DeltaLake) -> None:
    report = bring(lake, write(tmp_path, [{"key": 17, "score": 1}]), id_column="key")
    assert report.unmatched["key"].to_list() == ["17"]


@pytest.mark.parametrize(
    ("scale", "given", "stored"),
    [
        pytest.param((1, 10), [1, 10, 5.5], [1.0, 3.0, 2.0], id="a wider scale"),
        pytest.param((0, 1), [0, 1, 0.25], [1.0, 3.0, 1.5], id="a narrower scale"),
        pytest.param((5, 1), [5, 1, 2], [1.0, 3.0, 2.5], id="the best is the lowest number"),
        pytest.param(None, [1, 3, 2.4], [1.0, 3.0, 2.4], id="the lens's own scale"),
    ],
)
def test_their_scale_becomes_the_lenss(lake: DeltaLake, tmp_path: Path, scale, given, stored) -> None:
    file = write(tmp_path, [{"id": f"d{n}", "score": score} for n, score in enumerate(given, 1)])
    bring(lake, file, scale=scale)
    assert [scores(lake)["crawl-0", f"d{n}"] for n in (1, 2, 3)] == stored


@given(
    worst=st.floats(-1e6, 1e6),
    width=st.floats(1e-3, 1e6),
    share=st.floats(0, 1),
    low=st.integers(-10, 10),
    span=st.integers(1, 100),
)
def test_a_mapped_score_is_on_the_scale_and_the_ends_are_the_ends(worst, width, share, low, span) -> None:
    lens, best = score_lens(low=low, high=low + span, criteria=()), worst + width
    assert on_lens_scale(worst, lens, (worst, best)) == low
    assert on_lens_scale(best, lens, (worst, best)) == low + span
    between = min(max(worst + share * width, worst), best)
    assert low <= on_lens_scale(between, lens, (worst, best)) <= low + span


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        pytest.param({"score": 4}, "off_scale", id="above the scale"),
        pytest.param({"score": 0.999}, "off_scale", id="just below the scale"),
        pytest.param({"score": "3"}, "not_a_number", id="a number as text"),
        pytest.param({"score": True}, "not_a_number", id="a truth value"),
        pytest.param({"score": float("nan")}, "not_a_number", id="NaN"),
        pytest.param({"score": None}, "no_score", id="nothing"),
        pytest.param({"score": 2, "criteria": {"correct": 4}}, "off_scale", id="a criterion above its range"),
        pytest.param({"score": 2, "criteria": {"wit": 2}}, "unknown_criterion", id="a criterion of another lens"),
        pytest.param({"score": 2, "criteria": "fine"}, "malformed_criteria", id="criteria in words"),
        pytest.param({"score": 2, "confidence": 7}, "malformed_confidence", id="a confidence that is none"),
        pytest.param({"score": 2, "rated_at": "yesterday"}, "malformed_time", id="a time in words"),
    ],
)
def test_an_unusable_answer_is_a_failure_with_what_was_there(lake, tmp_path: Path, row: dict, reason: str) -> None:
    report = bring(lake, write(tmp_path, [{"id": "d1", **row}]))
    assert report.failures == {reason: 1}
    stored = lake.read(ANNOTATIONS.of("clarity")).row(0, named=True)
    assert (stored["score"], stored["reason"], stored["raw"]) == (None, reason, json.dumps(row["score"]))


def test_a_reason_beside_a_score_is_no_failure(lake: DeltaLake, tmp_path: Path) -> None:
    """Files made elsewhere often hold the rationale there."""
    file = write(tmp_path, [{"id": "d1", "score": 2, "reason": "well written"}])
    bring(lake, file, columns=AnswerColumns(rationale="reason"))
    row = lake.read(ANNOTATIONS.of("clarity")).row(0, named=True)
    assert (row["score"], row["reason"], row["rationale"]) == (2.0, None, "well written")


@pytest.mark.parametrize(
    ("given", "score", "reason", "repeats"),
    [
        pytest.param([2, 2, 2], 2.0, None, 2, id="the same thrice"),
        pytest.param([2, 3], None, "conflicting_ratings", 1, id="two scores"),
        pytest.param([9, 2], 2.0, None, 1, id="a failure and a score"),
        pytest.param([9, 8], None, "off_scale", 1, id="only failures"),
    ],
)
def test_a_document_that_is_rated_twice(lake, tmp_path: Path, given, score, reason, repeats) -> None:
    report = bring(lake, write(tmp_path, [{"id": "d1", "score": each} for each in given]))
    row = lake.read(ANNOTATIONS.of("clarity")).row(0, named=True)
    assert (row["score"], row["reason"], report.repeats) == (score, reason, repeats)
    assert row["raw"] == ("2 | 3" if reason == "conflicting_ratings" else json.dumps(given[0] if score is None else 2))


@pytest.mark.parametrize(
    ("text", "score", "reason"),
    [
        pytest.param('{"d1": 1, "d1": 3}', None, "conflicting_ratings", id="two scores"),
        pytest.param('{"d1": {"score": 1}, "d1": {"score": 3}}', None, "conflicting_ratings", id="two objects"),
        pytest.param('{"d1": 3, "d1": 3.0}', 3.0, None, id="the same score twice"),
    ],
)
def test_an_id_that_stands_twice_in_a_json_mapping_is_rated_twice(lake, tmp_path: Path, text, score, reason) -> None:
    file = tmp_path / "r.json"
    file.write_text(text)
    report = bring(lake, file)
    row = lake.read(ANNOTATIONS.of("clarity")).row(0, named=True)
    assert (row["score"], row["reason"], report.rows, report.repeats) == (score, reason, 2, 1)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        pytest.param("r.jsonl", '{"id": "b1", "score": 1}\n{"id": "d1", "score": 1, "score": 5}', id="in a line"),
        pytest.param("r.json", '[{"id": "d1", "score": 1, "score": 5}]', id="in a list"),
        pytest.param("r.json", '{"d1": {"score": 1, "score": 5}, "b1": {"score": 1}}', id="in a mapping"),
    ],
)
def test_a_row_that_scores_twice_is_refused(lake: DeltaLake, tmp_path: Path, name: str, text: str) -> None:
    file = tmp_path / name
    file.write_text(text)
    with pytest.raises(RatingFileError, match=rf"{name}:{2 if name == 'r.jsonl' else 1} has the name 'score' twice"):
        bring(lake, file)
    assert lake.version(ANNOTATIONS.of("clarity")) is None


@pytest.mark.parametrize(
    ("digits", "reason"),
    [pytest.param(400, "off_scale", id="no float"), pytest.param(5000, "not_a_number", id="no integer of Python's")],
)
def test_a_score_of_many_digits_fails_alone(lake: DeltaLake, tmp_path: Path, digits: int, reason: str) -> None:
    file = tmp_path / "r.json"
    file.write_text(f'{{"d1": {"9" * digits}, "b1": 2}}')
    assert bring(lake, file).failures == {reason: 1}
    assert scores(lake) == {("crawl-0", "d1"): None, ("books-0", "b1"): 2.0}


def test_the_same_file_again_changes_nothing(lake: DeltaLake, tmp_path: Path) -> None:
    rows = [{"id": "d1", "score": 2}, {"id": "d2", "score": 9}, {"id": "b1", "score": 1, "criteria": {"correct": 2}}]
    first = bring(lake, write(tmp_path, rows))
    before = lake.version(ANNOTATIONS.of("clarity"))
    again = bring(lake, write(tmp_path, list(reversed(rows))))
    assert (first.changed, first.shards) == (3, ("books-0", "crawl-0"))
    assert (again.changed, again.shards, again.documents) == (0, (), 3)
    assert lake.version(ANNOTATIONS.of("clarity")) == before


def test_a_later_file_adds_and_corrects_and_touches_no_other_shard(lake: DeltaLake, tmp_path: Path) -> None:
    bring(lake, write(tmp_path, [{"id": "d1", "score": 2}, {"id": "b1", "score": 1}]))
    report = bring(lake, write(tmp_path, [{"id": "d1", "score": 3}, {"id": "d2", "score": 1}]))
    assert (report.changed, report.shards) == (2, ("crawl-0",))
    assert scores(lake) == {("crawl-0", "d1"): 3.0, ("crawl-0", "d2"): 1.0, ("books-0", "b1"): 1.0}
    cells = lake.cells(ANNOTATIONS.of("clarity"))
    assert cells["version"].null_count() == 0, "each cell has one version"


def test_other_raters_ratings_stay(lake: DeltaLake, tmp_path: Path) -> None:
    annotate(lake, LENS, [("crawl-0", "d1", {"score": 1.0})])
    rows = [{"id": "d1", "score": 2, "who": "ann"}, {"id": "d1", "score": 3, "who": "bob"}]
    report = bring(lake, write(tmp_path, rows), rater=None, rater_column="who")
    assert report.raters == ("imported-ann", "imported-bob")
    by_rater = dict(lake.read(ANNOTATIONS.of("clarity")).select("rater", "score").rows())
    assert by_rater == {"r1": 1.0, "imported-ann": 2.0, "imported-bob": 3.0}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param('{"id": "d1", "score": 1}\n{"id": ', r"r\.jsonl:2 is not JSON", id="cut short"),
        pytest.param('{"id": "d1", "score": 1}\n\n[1]\n', r"r\.jsonl:3 holds list", id="no object"),
        pytest.param('{"score": 1}\n', r"r\.jsonl:1 has no 'id', it has \['score'\].*--id-column", id="no id"),
        pytest.param('{"id": "d1", "value": 1}\n', r"r\.jsonl:1 has no 'score'.*--score-column", id="no score"),
        pytest.param('{"id": "d1", "score": 1, "x": "\xff"}\n', r"r\.jsonl:1 is not UTF-8", id="another encoding"),
    ],
)
def test_a_broken_file_is_named_with_its_line_and_nothing_is_committed(lake, tmp_path: Path, content, message) -> None:
    file = tmp_path / "r.jsonl"
    file.write_bytes(content.encode("latin-1"))
    with pytest.raises(RatingFileError, match=message):
        bring(lake, file)
    assert lake.version(ANNOTATIONS.of("clarity")) is None


def test_a_broken_json_file_is_named_with_its_line(lake: DeltaLake, tmp_path: Path) -> None:
    file = tmp_path / "r.json"
    file.write_text('{\n "d1": 2,\n "d2": }\n')
    with pytest.raises(RatingFileError, match=r"r\.json:3 is not JSON"):
        bring(lake, file)


@pytest.mark.parametrize("name", ["missing.jsonl", "ratings.csv", "damaged.parquet"])
def test_a_file_that_cannot_be_read_is_named(lake: DeltaLake, tmp_path: Path, name: str) -> None:
    if name != "missing.jsonl":
        (tmp_path / name).write_text("PAR1 no")
    with pytest.raises(RatingFileError, match=name.replace(".", r"\.")):
        bring(lake, tmp_path / name)


@pytest.mark.parametrize("name", ["", "a/b", "../x", "x" * 101])
def test_a_name_that_cannot_stand_in_a_table_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="cannot name a rater"):
        Origin(rater=name)


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        pytest.param({"domains": ["school", "health", "school"]}, labels(domains=["health", "school"]), id="by set"),
        pytest.param(labels(uses=["search"]), labels(uses=["search"]), id="as a table holds them"),
        pytest.param({}, [], id="no label fits"),
    ],
)
def test_labels_are_brought_into_the_vocabularys_order(lake, tmp_path: Path, given, stored) -> None:
    bring(lake, write(tmp_path, [{"id": "d1", "labels": given}]), LABELS)
    row = lake.read(ANNOTATIONS.of("topics")).row(0, named=True)
    assert (row["labels"], row["reason"]) == (stored, None)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        pytest.param({"domains": ["astrology"]}, "unknown_label", id="another label"),
        pytest.param({"moods": ["health"]}, "unknown_label", id="another set"),
        pytest.param("health", "malformed_labels", id="a word"),
        pytest.param(["health"], "malformed_labels", id="of one of several sets"),
        pytest.param({"domains": "health"}, "malformed_labels", id="no list"),
        pytest.param(None, "no_score", id="nothing"),
    ],
)
def test_labels_outside_the_vocabulary_are_failures(lake, tmp_path: Path, given, reason: str) -> None:
    assert bring(lake, write(tmp_path, [{"id": "d1", "labels": given}]), LABELS).failures == {reason: 1}


@pytest.mark.parametrize("name", ["out.jsonl", "out.parquet"])
@pytest.mark.parametrize("lens", [LENS, LABELS], ids=lambda lens: lens.kind)
def test_what_is_exported_can_be_imported_into_another_lake(tmp_path: Path, name: str, lens: Lens) -> None:
    """Scores, criteria, labels, failures and times survive; only the rater's id says that it was imported."""
    one, other = lake_with_documents(tmp_path / "one"), lake_with_documents(tmp_path / "other")
    answer = {"score": 2.5, "criteria": criteria(correct=2, overall=2.5), "rationale": "so"}
    answer = answer if lens.kind == "score" else {"labels": labels(domains=["law"], uses=["summary"])}
    ratings = [
        ("crawl-0", "d1", answer),
        ("crawl-0", "d2", {"reason": "refused", "raw": "no"}),
        ("books-0", "b1", answer),
    ]
    annotate(one, lens, ratings)
    assert export_ratings(one, lens, tmp_path / name) == 3
    report = bring(other, tmp_path / name, lens, rater=None, rater_column="rater")
    assert (report.changed, report.unmatched.height, report.failures) == (3, 0, {"refused": 1})
    columns = ["shard", "id", "text_sha", "score", "reason", "rationale", "criteria", "labels", "rated_at"]
    stored, expected = (x.read(ANNOTATIONS.of(lens.name)).select(columns).sort("shard", "id") for x in (other, one))
    assert stored.rows() == expected.rows()
    assert other.read(ANNOTATIONS.of(lens.name)).drop_nulls("reason")["raw"].to_list() == ["no"]


def test_an_export_has_all_raters_and_failures_and_only_todays_lens(lake: DeltaLake, tmp_path: Path) -> None:
    annotate(lake, LENS, [("crawl-0", "d1", {"score": 2.0}), ("crawl-0", "d2", {"reason": "refused"})])
    annotate(lake, LENS, [("books-0", "b1", {"score": 1.0}), ("books-0", "b2", {"score": 1.0, "lens_version": "old"})],
             rater="r2")  # fmt: skip
    out = tmp_path / "out.jsonl"
    assert export_ratings(lake, LENS, out) == 3
    assert export_ratings(lake, LENS, out, every_version=True) == 4
    assert export_ratings(lake, LENS, out, raters=["r2"], with_text=True) == 1
    row = json.loads(out.read_text())
    assert (row["dataset"], row["source"], row["text"]) == ("books", "books.org", TEXTS["books-0"]["b1"])


def test_a_records_fields_are_exported_as_they_were(lake: DeltaLake, tmp_path: Path) -> None:
    fields = {"instruction": "Add é.", "messages": [{"role": "user", "content": "hi"}]}
    rows = lake.read(DOCUMENTS).filter(shard="books-0").with_columns(
        fields=pl.when(id="b1").then(pl.lit(json.dumps(fields))), version=pl.lit("w")
    )  # fmt: skip
    lake.commit(DOCUMENTS, rows, [{"shard": "books-0", "version": "w"}], LINEAGE)
    annotate(lake, LENS, [("books-0", "b1", {"score": 2.0}), ("books-0", "b2", {"score": 1.0})])
    export_ratings(lake, LENS, tmp_path / "out.jsonl", with_text=True)
    shown = [json.loads(line)["fields"] for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert shown == [fields, None]


@pytest.mark.parametrize("name", ["out.jsonl", "out.parquet"])
def test_nothing_to_export_is_a_file_without_rows(lake: DeltaLake, tmp_path: Path, name: str) -> None:
    assert export_ratings(lake, LENS, tmp_path / name, with_text=True) == 0
    frame = pl.read_parquet(tmp_path / name) if name.endswith("parquet") else pl.DataFrame()
    assert frame.height == 0
    assert list(tmp_path.glob(".out*")) == []


def test_an_export_to_another_format_is_refused(lake: DeltaLake, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"must end in one of \.jsonl, \.parquet"):
        export_ratings(lake, LENS, tmp_path / "out.xlsx")
