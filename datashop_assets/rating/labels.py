"""What a label lens says of a corpus: how often each label of its vocabulary is given, where, and how sure that is.

What belongs here: the distribution of labels over datasets and sources. What does not: judging (`produce.py`), drawing
(`plots.py`). Shares are of the rated documents: the same number of each shard, so that pooled over datasets a dataset
counts by how many of its documents were rated, not by its size.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from datashop_assets.estimate import Estimate
from datashop_assets.rating.annotate import FAILED, failure_counts
from datashop_assets.rating.estimates import share
from datashop_assets.rating.lens import Lens
from datashop_assets.records import ANNOTATIONS, DOCUMENTS, TableSpec
from datashop_assets.seams import Lake

# Stands for a document to which no label of a set was given: as much an answer as a label is.
NO_LABEL = "(no label)"
# Stands for the dataset and source of a rated document that is no document of its shard any longer.
GONE = "(gone)"
EVERYTHING = "all datasets"
CELL_LABELS = 8

DISTRIBUTION = TableSpec(
    "label_distribution",
    {
        "by": pl.String,
        "group": pl.String,
        "set": pl.String,
        "label": pl.String,
        "documents": pl.Int64,
        "judged": pl.Int64,
        "share": pl.Float64,
        "low": pl.Float64,
        "high": pl.Float64,
    },
    notes={
        "by": "all, dataset or source",
        "group": "the dataset, or dataset/source",
        "label": f"a label of the set, or {NO_LABEL}; a document can have several",
        "documents": "judged documents of the group with this label",
        "judged": "documents of the group whose judgement succeeded",
        "low": "of Wilson's 95 % interval of the share",
    },
)
# As in the annotations table, with the document's dataset and source.
_ANSWER = ["shard", "id", "dataset", "source", "reason", "labels"]


def judged_documents(lake: Lake, lens: Lens, rater: str) -> pl.DataFrame:
    """One row a document that the rater judged through the lens as it is now: shard, id, dataset, source, reason (null
    where it succeeded), labels (list of structs of set and label)."""
    documents = lake.scan(DOCUMENTS).select("shard", "id", "dataset", "source")
    return (
        lake.scan(ANNOTATIONS.of(lens.name))
        .filter(pl.col("rater") == rater, pl.col("lens_version") == lens.version)
        .join(documents, on=["shard", "id"], how="left")
        .with_columns(pl.col("dataset", "source").fill_null(GONE))
        .select(_ANSWER)
        .sort("shard", "id")
        .collect(engine="streaming")
    )


def distribution(judged: pl.DataFrame, lens: Lens) -> pl.DataFrame:
    """How often each label is given, over all datasets, by dataset and by source: rows of DISTRIBUTION.

    Labels that no document has are there with 0, because what is missing is what such a report is read for. Failed
    judgements count nowhere (see `failures`). Ordered by group, set and falling share; empty where nothing was judged.
    """
    succeeded = judged.filter(pl.col("reason").is_null())
    groups = {
        "all": pl.lit(EVERYTHING),
        "dataset": pl.col("dataset"),
        "source": pl.concat_str("dataset", "source", separator="/"),
    }
    parts = [_counted(succeeded.with_columns(by=pl.lit(by), group=group), lens) for by, group in groups.items()]
    counts = pl.concat(parts)
    shares = [share(documents, n) for documents, n in counts.select("documents", "judged").iter_rows()]
    figures = pl.DataFrame(
        {name: [getattr(estimate, field) for estimate in shares] for name, field in _FIGURES.items()},
        schema=dict.fromkeys(_FIGURES, pl.Float64),
    )
    order = {name: number for number, name in enumerate([*groups, *(labels.name for labels in lens.label_sets)])}
    return (
        counts.hstack(figures)
        .sort(
            pl.col("by").replace_strict(order, return_dtype=pl.Int64),
            "group",
            pl.col("set").replace_strict(order, default=len(order), return_dtype=pl.Int64),
            -pl.col("documents"),
            "label",
        )
        .select(list(DISTRIBUTION.schema))
    )


_FIGURES = {"share": "value", "low": "low", "high": "high"}


def _counted(succeeded: pl.DataFrame, lens: Lens) -> pl.DataFrame:
    """Documents by `by`, `group`, set and label, with the number of judged documents of the group."""
    key, document = ["by", "group"], pl.struct("shard", "id")
    totals = succeeded.group_by(key).agg(judged=pl.len().cast(pl.Int64))
    given = succeeded.select(*key, "shard", "id", answer="labels").explode("answer").drop_nulls("answer")
    given = given.with_columns(pl.col("answer").struct.unnest()) if given.height else given.with_columns(_NOTHING)
    labelled = given.group_by(*key, "set", "label").agg(documents=document.n_unique().cast(pl.Int64))
    some = given.group_by(*key, "set").agg(some=document.n_unique().cast(pl.Int64))
    vocabulary = pl.DataFrame(
        [(labels.name, label) for labels in lens.label_sets for label in labels.labels],
        schema={"set": pl.String, "label": pl.String},
        orient="row",
    )
    known = pl.concat([vocabulary, labelled.select("set", "label")]).unique(maintain_order=True)
    with_label = totals.join(known, how="cross").join(labelled, on=[*key, "set", "label"], how="left")
    without = (
        totals.join(vocabulary.select("set").unique(), how="cross")
        .join(some, on=[*key, "set"], how="left")
        .with_columns(label=pl.lit(NO_LABEL), documents=pl.col("judged") - pl.col("some").fill_null(0))
    )
    columns = [*key, "set", "label", "documents", "judged"]
    return pl.concat([with_label.select(columns), without.select(columns)]).with_columns(
        pl.col("documents").fill_null(0)
    )


_NOTHING = [pl.lit(None, pl.String).alias("set"), pl.lit(None, pl.String).alias("label")]


def failures(judged: pl.DataFrame) -> pl.DataFrame:
    """Judgements that failed, by dataset and reason, most frequent first: dataset, reason, documents, of."""
    totals = judged.group_by("dataset").agg(pl.len().alias("of"))
    return (
        judged.filter(FAILED)
        .group_by("dataset", "reason")
        .agg(pl.len().alias("documents"))
        .join(totals, on="dataset")
        .select("dataset", "reason", "documents", "of")
        .sort("documents", "dataset", "reason", descending=[True, False, False])
    )


def top(shares: pl.DataFrame, label_set: str, count: int, group: str = EVERYTHING) -> dict[str, Estimate]:
    """The `count` most frequent labels of a set in a group of `distribution`, NO_LABEL last, with their shares."""
    rows = shares.filter(pl.col("group") == group, pl.col("set") == label_set)
    labels, none = rows.filter(pl.col("label") != NO_LABEL).head(count), rows.filter(pl.col("label") == NO_LABEL)
    return {
        row["label"]: Estimate(row["share"], row["low"], row["high"], row["judged"])
        for row in pl.concat([labels, none]).to_dicts()
    }


def label_counts(annotations: pl.DataFrame) -> Mapping[str, Any]:
    """Counts of one rated cell for people: judgements, failures by reason, documents without any label, and by the
    most frequent ones, few because there is an event of each cell for ever."""
    succeeded = annotations.filter(pl.col("reason").is_null())
    given = Counter(f"{x['set']}: {x['label']}" for labels in succeeded["labels"] for x in labels)
    return {
        **failure_counts(annotations),
        "without_any_label": int((succeeded["labels"].list.len() == 0).sum()),
        "by_label": dict(given.most_common(CELL_LABELS)),
    }


def largest_datasets(judged: pl.DataFrame, count: int) -> list[str]:
    """The `count` datasets with the most judged documents, by name."""
    sizes = judged.group_by("dataset").len().sort("len", "dataset", descending=[True, False]).head(count)
    return sorted(sizes["dataset"])


def shares_by_group(
    shares: pl.DataFrame, label_set: str, labels: Sequence[str], groups: Sequence[str]
) -> list[list[float | None]]:
    """Shares of shape [labels, groups]; null in a group of which every judgement failed."""
    rows = shares.filter(pl.col("set") == label_set).select("group", "label", "share").iter_rows()
    known: dict[tuple[str, str], float] = {(group, label): value for group, label, value in rows}
    return [[known.get((group, label)) for group in groups] for label in labels]
