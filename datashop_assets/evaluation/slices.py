"""The documents of the perplexity slices: held out from annealing, by source, chosen by hash.

What belongs here: which documents a slice has. What does not: the held-out rule (`annealing.mixture.held_out`),
writing harness tasks (`tasks.py`).
"""

from collections.abc import Callable

import polars as pl

from datashop_assets.annealing.mixture import held_out
from datashop_assets.lineage import stable_fraction
from datashop_assets.project import EvaluationSettings

SLICE_SCHEMA = pl.Schema({"slice": pl.String, "id": pl.String, "text": pl.String})


class SliceError(ValueError):
    """A slice without documents; the message names the slice, its sources and the mend."""


def build_slices(
    documents: pl.DataFrame, settings: EvaluationSettings, cut: Callable[[str], str] = lambda text: text
) -> pl.DataFrame:
    """Up to `slice_documents` held-out documents for each slice of the settings: columns of SLICE_SCHEMA.

    `documents` has text, text_sha and source. Only held-out texts enter, each once; `id` is the text's hash. Chosen
    in the order of a seeded hash, so more documents in the corpus change a slice little. `cut` shortens a text to
    what is evaluated (`DocumentEncoder.cut`). A near-copy of a held-out text may be annealed on: only equal texts
    are kept apart.

    Raises SliceError for a slice without documents.
    """
    frames = []
    for name, sources in settings.slices.items():
        pool = documents.filter(pl.col("source").is_in(list(sources))).unique("text_sha", keep="first")
        shas = [sha for sha in pool["text_sha"] if held_out(sha, settings.held_out_share)]
        shas.sort(key=lambda sha: stable_fraction(f"slice:{settings.seed}:{sha}"))
        texts = dict(pool.select("text_sha", "text").iter_rows())
        rows = [{"slice": name, "id": sha, "text": cut(texts[sha])} for sha in shas[: settings.slice_documents]]
        rows = [row for row in rows if row["text"].strip()]
        if not rows:
            known = sorted(documents["source"].unique().drop_nulls())
            raise SliceError(
                f"evaluation slice {name!r}: no held-out document from sources {list(sources)} among "
                f"{pool.height} documents; sources of the corpus: {known[:20]}; correct evaluation.slices or raise "
                "evaluation.held_out_share"
            )
        frames.append(pl.DataFrame(rows, schema=SLICE_SCHEMA))
    return pl.concat(frames) if frames else pl.DataFrame(schema=SLICE_SCHEMA)


def enough_for_slices(documents: pl.DataFrame, settings: EvaluationSettings) -> bool:
    """Do these documents fill every slice?"""
    for sources in settings.slices.values():
        shas = documents.filter(pl.col("source").is_in(list(sources)))["text_sha"].unique()
        if sum(held_out(sha, settings.held_out_share) for sha in shas) < settings.slice_documents:
            return False
    return True
