"""The rating summary: means, classes, and the files that people take away."""

import json
from pathlib import Path

import polars as pl
import pytest

from datashop_assets.project import ClassBounds, SummarySettings
from datashop_assets.rating.lens import Criterion, Lens
from datashop_assets.rating.summarise import as_text
from datashop_assets.rating.summary import EVERYTHING, GONE, scores_by_dataset, summarise, write_summary
from datashop_assets_tests.rating.rated_lakes import TEXTS, annotate, criteria, lake_with_documents, score_lens
from resources.lake import DeltaLake

LENS = score_lens()
DEFAULT = SummarySettings()


def classes_of(tmp_path: Path, lens: Lens, ratings: list[dict], settings: SummarySettings = DEFAULT) -> list[str]:
    """The class of each rating alone."""
    names = []
    for number, rating in enumerate(ratings):
        lake = lake_with_documents(tmp_path / str(number))
        annotate(lake, lens, [("crawl-0", "d1", rating)])
        row = summarise(lake, lens, settings).classes.row(0, named=True)
        names += [name for name in ("poor", "low", "medium", "good") if row[name] == 1]
    return names


@pytest.fixture
def lake(tmp_path: Path) -> DeltaLake:
    lake = lake_with_documents(tmp_path)
    annotate(
        lake,
        LENS,
        [
            ("crawl-0", "d1", {"score": 3.0, "criteria": criteria(correct=3, clear=3, overall=3), "rationale": "fine"}),
            ("crawl-0", "d2", {"score": 2.0, "criteria": criteria(correct=2, clear=2, overall=2)}),
            ("crawl-0", "d3", {"reason": "refused", "raw": "no"}),
            ("books-0", "b1", {"score": 1.0, "criteria": criteria(correct=1, clear=2, overall=1)}),
        ],
    )
    return lake


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        pytest.param((2.5, 2.5, 2.75), "good", id="at both bounds"),
        pytest.param((2.5, 2.5, 2.74), "medium", id="the overall one below"),
        pytest.param((2.49, 3, 3), "medium", id="one criterion below"),
        pytest.param((1.5, 1.5, 2), "medium", id="at the bounds of medium"),
        pytest.param((1.49, 3, 3), "low", id="one criterion is bad"),
        pytest.param((2, 2, 1.99), "low", id="the overall one below medium"),
        pytest.param((1, 1, 1.5), "low", id="at the bound of low"),
        pytest.param((3, 3, 1.49), "poor", id="the overall one is worst"),
        pytest.param((1, 1, 1), "poor", id="all are worst"),
    ],
)
def test_the_classes_of_a_scale_of_one_to_three(tmp_path: Path, scores: tuple, expected: str) -> None:
    correct, clear, overall = scores
    rating = {"score": overall, "criteria": criteria(correct=correct, clear=clear, overall=overall)}
    assert classes_of(tmp_path, LENS, [rating]) == [expected]


@pytest.mark.parametrize("high", [1, 3, 5, 10])
def test_every_class_can_be_reached_on_every_scale(tmp_path: Path, high: int) -> None:
    lens = score_lens(low=0, high=high, criteria=())
    ratings = [{"score": share * high} for share in (0, 0.3, 0.6, 1)]
    assert classes_of(tmp_path, lens, ratings) == ["poor", "low", "medium", "good"]


def test_bounds_are_settings(tmp_path: Path) -> None:
    strict = SummarySettings(good=ClassBounds(every=1, overall=1))
    rating = {"score": 2.9, "criteria": criteria(correct=3, clear=3, overall=2.9)}
    assert classes_of(tmp_path, LENS, [rating], strict) == ["medium"]


def test_a_class_that_asks_for_less_than_the_one_below_is_refused() -> None:
    with pytest.raises(ValueError, match="the class good asks for less than the one below it"):
        SummarySettings(good=ClassBounds(every=0.1, overall=0.9))


def test_a_compressed_lens_is_classed_by_what_was_asked_and_shows_what_is_stored(tmp_path: Path) -> None:
    lens = score_lens(
        low=0, high=5, criteria=(Criterion("overall", 1, 10),), compression=tuple((n, n // 2) for n in range(1, 11))
    )
    lake = lake_with_documents(tmp_path)
    annotate(lake, lens, [("crawl-0", "d1", {"score": 4.0, "criteria": criteria(overall=9)})])
    summary = summarise(lake, lens, DEFAULT)
    assert summary.means.select("criterion", "mean").rows() == [("overall", 9.0), ("stored score", 4.0)]
    assert summary.classes["good"].item() == 1, "9 of 1 to 10 is 0.89 of the range"


def test_means_are_by_dataset_and_pooled_with_n_and_interval(lake: DeltaLake) -> None:
    means = summarise(lake, LENS, DEFAULT).means
    rows = means.filter(pl.col("criterion") == "overall").select("dataset", "mean", "n").rows()
    assert rows == [(EVERYTHING, 2.0, 3), ("books", 1.0, 1), ("crawl", 2.5, 2)]
    crawl = means.row(by_predicate=(pl.col("dataset") == "crawl") & (pl.col("criterion") == "clear"), named=True)
    assert (crawl["low"], crawl["high"]) == (1.0, 3.0), "two scores show nothing but the scale"
    assert means.filter(pl.col("dataset") == "books")["low"].null_count() == 3


def test_failed_judgements_are_counted_and_are_of_no_class(lake: DeltaLake) -> None:
    classes = summarise(lake, LENS, DEFAULT).classes
    assert classes.drop("lens", "rater").rows() == [
        (EVERYTHING, 1 / 3, 0.0, 1 / 3, 1 / 3, 3, 1),
        ("books", 1.0, 0.0, 0.0, 0.0, 1, 0),
        ("crawl", 0.0, 0.0, 0.5, 0.5, 2, 1),
    ]


def test_each_rater_has_rows_of_its_own(lake: DeltaLake) -> None:
    annotate(lake, LENS, [("crawl-1", "e2", {"score": 2.5})], rater="r2")
    summary = summarise(lake, LENS, DEFAULT)
    assert set(summary.classes.select("dataset", "rater").rows()) >= {("crawl", "r1"), ("crawl", "r2")}
    mine = summary.means.filter(pl.col("rater") == "r2", pl.col("dataset") == "crawl")
    assert mine.select("criterion", "mean").rows() == [("overall", 2.5)], (
        "without criteria the score is the overall one"
    )


def test_nothing_rated_says_so_and_divides_by_nothing(tmp_path: Path) -> None:
    lake = lake_with_documents(tmp_path)
    summary = summarise(lake, LENS, DEFAULT)
    files = write_summary(lake, LENS, summary, tmp_path / "out")
    assert "nothing is rated" in as_text("clarity", summary)
    assert scores_by_dataset(summary.rated) == {}
    assert files["ratings"].read_text() == ""
    assert files["classes"].read_text().startswith("dataset,lens,rater,poor,low,medium,good,rated,failed")


def test_only_failures_have_no_shares(tmp_path: Path) -> None:
    lake = lake_with_documents(tmp_path)
    annotate(lake, LENS, [("crawl-0", "d1", {"reason": "refused"})])
    summary = summarise(lake, LENS, DEFAULT)
    assert summary.classes.select("poor", "good", "rated", "failed").rows() == [(None, None, 0, 1)]
    assert "null" in as_text("clarity", summary)


def test_every_rating_is_exported_with_what_joins_it_back(lake: DeltaLake, tmp_path: Path) -> None:
    annotate(lake, LENS, [("crawl-1", "was-here", {"score": 2.0})], rater="r2")
    summary = summarise(lake, LENS, DEFAULT)
    files = write_summary(lake, LENS, summary, tmp_path / "out")
    rows = [json.loads(line) for line in files["ratings"].read_text().splitlines()]
    assert len(rows) == 5
    by_id = {row["id"]: row for row in rows}
    assert by_id["d1"]["criteria"] == {"correct": 3, "clear": 3, "overall": 3}
    assert (by_id["d1"]["rationale"], by_id["d1"]["rater"], by_id["d1"]["shard"]) == ("fine", "r1", "crawl-0")
    assert by_id["d2"]["text"] == TEXTS["crawl-0"]["d2"]
    assert (by_id["d3"]["score"], by_id["d3"]["reason"], by_id["d3"]["raw"]) == (None, "refused", "no")
    assert (by_id["was-here"]["text"], by_id["was-here"]["score"]) == (None, 2.0), "a document that is gone"
    assert GONE in set(summary.classes["dataset"])


def test_the_csv_holds_the_table(lake: DeltaLake, tmp_path: Path) -> None:
    summary = summarise(lake, LENS, DEFAULT)
    files = write_summary(lake, LENS, summary, tmp_path / "out")
    assert pl.read_csv(files["classes"]).height == summary.classes.height
    assert pl.read_csv(files["means"])["criterion"].to_list() == summary.means["criterion"].to_list()


def test_the_printed_table_has_percentages(lake: DeltaLake) -> None:
    text = as_text("clarity", summarise(lake, LENS, DEFAULT))
    assert "33.33" in text
    assert all(word in text for word in ("poor", "low", "medium", "good", "books", "overall"))
