"""What the ratings of a score lens say of each dataset: mean scores by criterion, and documents in four classes.

What belongs here: the figures of the summary. What does not: label lenses (`labels.py`), how raters agree
(`agreement.py`), the files (`exports.py`). Figures are of the rated documents: the same number of each shard.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from datashop_assets.project import SummarySettings
from datashop_assets.rating.estimates import mean_interval
from datashop_assets.rating.exports import export_ratings, write_csv
from datashop_assets.rating.lens import Criterion, Lens
from datashop_assets.records import ANNOTATIONS, DOCUMENTS, TableSpec
from datashop_assets.seams import Exports, Lake

NOTHING_RATED = "nothing is rated through this lens as it is now; materialize `annotations`, or import ratings"
# Stands for the dataset of a rated document that is no document of its shard any longer.
GONE = "(gone)"
EVERYTHING = "all datasets"
CLASSES = ("poor", "low", "medium", "good")

MEANS = TableSpec(
    "rating_means",
    {
        "dataset": pl.String,
        "lens": pl.String,
        "rater": pl.String,
        "criterion": pl.String,
        "mean": pl.Float64,
        "low": pl.Float64,
        "high": pl.Float64,
        "n": pl.Int64,
    },
    notes={
        "criterion": "on its own range; the last one is the overall one",
        "low": "of Student's 95 % interval; null where all scores are equal",
    },
)
QUALITY = TableSpec(
    "rating_classes",
    {
        "dataset": pl.String,
        "lens": pl.String,
        "rater": pl.String,
        **dict.fromkeys(CLASSES, pl.Float64),
        "rated": pl.Int64,
        "failed": pl.Int64,
    },
    notes={"poor": "share of the rated documents, like low, medium and good", "failed": "judgements without a score"},
)


@dataclass(frozen=True)
class Summary:
    """The summary of one lens: its judgements (see `rated_documents`), MEANS and QUALITY."""

    rated: pl.DataFrame
    means: pl.DataFrame
    classes: pl.DataFrame


def summarise(lake: Lake, lens: Lens, settings: SummarySettings) -> Summary:
    """The summary of a lens as it is now, over all raters and datasets; its tables are empty where nothing is rated."""
    rated = rated_documents(lake, lens)
    return Summary(rated, criterion_means(rated, lens), quality_classes(rated, lens, settings))


def write_summary(lake: Lake, lens: Lens, summary: Summary, folder: Path) -> dict[str, Path]:
    """Write the lens's tables as CSV and every rating with its document's text as JSONL, each file replaced whole."""
    folder /= lens.name
    export_ratings(lake, lens, folder / "ratings.jsonl", with_text=True)
    return {
        "classes": write_csv(summary.classes, folder / "classes.csv"),
        "means": write_csv(summary.means, folder / "means.csv"),
        "ratings": folder / "ratings.jsonl",
    }


def publish_summary(lake: Lake, lens: Lens, summary: Summary, summaries: Exports) -> dict[str, str]:
    """`write_summary` to where the project's summaries are; gives each file's path or URL."""
    files = write_summary(lake, lens, summary, summaries.folder(lens.name).parent)
    summaries.refresh(lens.name)
    return {name: f"{summaries.place(lens.name)}/{file.name}" for name, file in files.items()}


def rated_documents(lake: Lake, lens: Lens) -> pl.DataFrame:
    """One row a judgement through the lens as it is now, of every rater: shard, id, dataset, rater, score, reason,
    criteria. Failed ones have a null score."""
    documents = lake.scan(DOCUMENTS).select("shard", "id", "dataset")
    return (
        lake.scan(ANNOTATIONS.of(lens.name))
        .filter(pl.col("lens_version") == lens.version)
        .join(documents, on=["shard", "id"], how="left")
        .select("shard", "id", pl.col("dataset").fill_null(GONE), "rater", "score", "reason", "criteria")
        .sort("dataset", "rater", "shard", "id")
        .collect(engine="streaming")
    )


def shown_criteria(lens: Lens) -> tuple[Criterion, ...]:
    """The criteria whose means are shown: those that are asked for and, where it is another, the stored score."""
    return (*lens.asked, Criterion("stored score", lens.low, lens.high)) if lens.compression else lens.asked


def criterion_means(rated: pl.DataFrame, lens: Lens) -> pl.DataFrame:
    """The mean of each criterion by dataset and rater, and over all datasets where there are several: rows of MEANS.

    Failed judgements count nowhere. A criterion that no judgement has gives no row.
    """
    criteria = shown_criteria(lens)
    columns = {f"scores {number}": _score_of(lens, criterion) for number, criterion in enumerate(criteria)}
    rows = []
    for (dataset, rater), group in _groups(rated.select("dataset", "rater", **columns)):
        for criterion, column in zip(criteria, columns, strict=True):
            if scores := group[column].drop_nulls().to_list():
                mean, low, high = mean_interval(scores, criterion.low, criterion.high)
                rows.append((dataset, lens.name, rater, criterion.name, mean, low, high, len(scores)))
    return pl.DataFrame(rows, schema=MEANS.schema, orient="row")


def quality_classes(rated: pl.DataFrame, lens: Lens, settings: SummarySettings) -> pl.DataFrame:
    """The share of rated documents in each of CLASSES by dataset and rater, and over all datasets: rows of QUALITY.

    A document is of the best class whose two bounds it reaches: with its lowest criterion, and with the overall one,
    both as shares of their ranges (0 is the lowest level, 1 the highest). Shares are null where every judgement failed.
    """
    overall = _share_of_range(lens, lens.overall)
    # A rater without criteria of its own has the stored score alone.
    overall = pl.coalesce(overall, (pl.col("score") - lens.low) / (lens.high - lens.low))
    lowest = pl.min_horizontal(overall, *(_share_of_range(lens, criterion) for criterion in lens.asked))
    quality: pl.Expr = pl.when(overall.is_not_null()).then(pl.lit("poor"))
    for name, bounds in {"low": settings.low, "medium": settings.medium, "good": settings.good}.items():
        reached = (lowest >= bounds.every) & (overall >= bounds.overall)
        quality = pl.when(reached).then(pl.lit(name)).otherwise(quality)
    classed = rated.select("dataset", "rater", quality=quality)
    rows = []
    for (dataset, rater), group in _groups(classed):
        known = group["quality"].drop_nulls()
        shares = [(known == name).sum() / len(known) if len(known) else None for name in CLASSES]
        rows.append((dataset, lens.name, rater, *shares, len(known), group.height - len(known)))
    return pl.DataFrame(rows, schema=QUALITY.schema, orient="row")


def scores_by_dataset(rated: pl.DataFrame) -> dict[str, Sequence[float]]:
    """The stored scores of each dataset, for a histogram; datasets without any are left out."""
    scored = rated.drop_nulls("score").sort("dataset").group_by("dataset", maintain_order=True).agg("score")
    return dict(scored.iter_rows())


def _score_of(lens: Lens, criterion: Criterion) -> pl.Expr:
    """The judgement's score by the criterion. Without criteria of its own, its score is the overall one's, or the one
    that compression made of it."""
    own = pl.element().filter(pl.element().struct.field("name") == criterion.name).struct.field("score")
    found = pl.col("criteria").list.eval(own).list.first()
    is_stored = criterion == shown_criteria(lens)[-1]
    return pl.coalesce(found, "score") if is_stored else found


def _share_of_range(lens: Lens, criterion: Criterion) -> pl.Expr:
    return (_score_of(lens, criterion) - criterion.low) / (criterion.high - criterion.low)


def _groups(rated: pl.DataFrame) -> Iterator[tuple[tuple[str, str], pl.DataFrame]]:
    """Rows by dataset and rater; where there are several datasets, by rater over all of them as well, first."""
    keys = ["dataset", "rater"]
    together = rated.with_columns(dataset=pl.lit(EVERYTHING)) if rated["dataset"].n_unique() > 1 else rated.clear()
    for frame in (together, rated):
        for (dataset, rater), rows in frame.sort(keys, maintain_order=True).group_by(keys, maintain_order=True):
            yield (str(dataset), str(rater)), rows
