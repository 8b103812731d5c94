"""The distribution of labels: what is counted, what is not, and what is missing from a corpus."""

from pathlib import Path

import polars as pl
import pytest

from datashop_assets.rating.labels import (
    EVERYTHING,
    GONE,
    NO_LABEL,
    distribution,
    failures,
    judged_documents,
    label_counts,
    largest_datasets,
    shares_by_group,
    top,
)
from datashop_assets_tests.rating.rated_lakes import annotate, label_lens, labels, lake_with_documents
from resources.lake import DeltaLake

LENS = label_lens()


@pytest.fixture
def lake(tmp_path: Path) -> DeltaLake:
    """Four documents of crawl (one of them failed, one without any label) and two of books."""
    lake = lake_with_documents(tmp_path)
    annotate(
        lake,
        LENS,
        [
            ("crawl-0", "d1", {"labels": labels(domains=["health", "law"], uses=["search"])}),
            ("crawl-0", "d2", {"labels": labels(domains=["health"])}),
            ("crawl-0", "d3", {"labels": []}),
            ("crawl-1", "e2", {"reason": "refused"}),
            ("books-0", "b1", {"labels": labels(domains=["school"])}),
            ("books-0", "b2", {"labels": labels(domains=["school"], uses=["search", "summary"])}),
        ],
    )
    return lake


def counted(shares: pl.DataFrame, group: str, label_set: str) -> dict[str, tuple[int, int]]:
    rows = shares.filter(pl.col("group") == group, pl.col("set") == label_set)
    return {row["label"]: (row["documents"], row["judged"]) for row in rows.to_dicts()}


def test_every_label_is_counted_pooled_and_by_dataset_and_failures_count_nowhere(lake: DeltaLake) -> None:
    shares = distribution(judged_documents(lake, LENS, "r1"), LENS)
    assert counted(shares, EVERYTHING, "domains") == {
        "health": (2, 5),
        "school": (2, 5),
        "law": (1, 5),
        NO_LABEL: (1, 5),
    }
    assert counted(shares, "crawl", "domains") == {"health": (2, 3), "law": (1, 3), NO_LABEL: (1, 3), "school": (0, 3)}
    assert counted(shares, "books/books.org", "uses") == {"search": (1, 2), "summary": (1, 2), NO_LABEL: (1, 2)}


def test_a_label_that_no_document_has_is_reported_with_an_interval_above_zero(lake: DeltaLake) -> None:
    shares = distribution(judged_documents(lake, LENS, "r1"), LENS)
    row = shares.row(by_predicate=(pl.col("group") == "crawl") & (pl.col("label") == "school"), named=True)
    assert (row["documents"], row["share"], row["low"]) == (0, 0, 0)
    assert row["high"] > 0.3, "three documents show little"


def test_documents_and_no_label_of_a_set_add_up(lake: DeltaLake) -> None:
    """A document is in NO_LABEL of a set exactly where it has none of that set's labels."""
    judged = judged_documents(lake, LENS, "r1")
    shares = distribution(judged, LENS).filter(pl.col("group") == EVERYTHING)
    for label_set in ("domains", "uses"):
        having = sum(any(x["set"] == label_set for x in row) for row in judged.drop_nulls("labels")["labels"])
        without = shares.row(by_predicate=(pl.col("set") == label_set) & (pl.col("label") == NO_LABEL), named=True)
        assert having + without["documents"] == 5


def test_failures_are_listed_by_dataset_and_reason(lake: DeltaLake) -> None:
    annotate(lake, LENS, [("crawl-1", "e2", {"reason": "refused"}), ("crawl-1", "e1", {"reason": "too_short"})])
    found = failures(judged_documents(lake, LENS, "r1")).rows()
    assert found == [("crawl", "refused", 1, 5)], "what was too short did not fail"


def test_the_most_frequent_come_first_and_no_label_last(lake: DeltaLake) -> None:
    shares = distribution(judged_documents(lake, LENS, "r1"), LENS)
    best = top(shares, "domains", 2)
    assert list(best) == ["health", "school", NO_LABEL]
    assert (best["health"].value, best["health"].n) == (0.4, 5)


def test_shares_by_dataset_are_lined_up(lake: DeltaLake) -> None:
    judged = judged_documents(lake, LENS, "r1")
    datasets = largest_datasets(judged, 8)
    assert datasets == ["books", "crawl"]
    assert shares_by_group(distribution(judged, LENS), "domains", ["school", "health"], datasets) == [
        [1.0, 0.0],
        [0.0, 2 / 3],
    ]


def test_a_dataset_of_which_everything_failed_has_no_share(tmp_path: Path) -> None:
    lake = lake_with_documents(tmp_path)
    annotate(lake, LENS, [("crawl-0", "d1", {"labels": []}), ("books-0", "b1", {"reason": "refused"})])
    judged = judged_documents(lake, LENS, "r1")
    assert shares_by_group(distribution(judged, LENS), "uses", ["search"], ["books", "crawl"]) == [[None, 0.0]]


def test_nothing_judged_is_an_empty_report(tmp_path: Path) -> None:
    judged = judged_documents(lake_with_documents(tmp_path), LENS, "r1")
    shares = distribution(judged, LENS)
    assert shares.is_empty()
    assert failures(judged).is_empty()
    assert top(shares, "domains", 10) == {}


def test_other_raters_and_other_versions_of_the_lens_do_not_count(lake: DeltaLake) -> None:
    annotate(lake, LENS, [("crawl-0", "d1", {"labels": labels(domains=["law"])})], rater="r2")
    annotate(lake, LENS, [("crawl-0", "d1", {"labels": [], "lens_version": "earlier"})], rater="r3")
    assert judged_documents(lake, LENS, "r2").height == 1
    assert judged_documents(lake, LENS, "r3").is_empty()


def test_a_document_that_is_gone_still_counts_under_a_name_that_says_so(tmp_path: Path) -> None:
    lake = lake_with_documents(tmp_path)
    annotate(lake, LENS, [("crawl-0", "was-here", {"labels": labels(uses=["search"])})])
    assert judged_documents(lake, LENS, "r1")["dataset"].to_list() == [GONE]


def test_a_cell_says_what_was_found_in_it(lake: DeltaLake) -> None:
    rows = judged_documents(lake, LENS, "r1").filter(pl.col("dataset") == "crawl")
    facts = label_counts(rows)
    assert (facts["annotations"], facts["failed"], facts["without_any_label"]) == (4, 1, 1)
    assert facts["failed_by_reason"] == {"refused": 1}
    assert facts["by_label"] == {"domains: health": 2, "domains: law": 1, "uses: search": 1}
