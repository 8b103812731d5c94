"""The beginnings of a few documents' texts, for tables that people read.

What belongs here: reading them, so short and so broken into lines that a page shows them. What does not: choosing the
documents (`filtering/examples.py`, `rating/rated_examples.py`).
"""

import polars as pl

from datashop_assets.records import DOCUMENTS
from datashop_assets.seams import Lake

# So few and so short that the UI shows the table at once: it hides Markdown of more than 1,000 characters in a dialog.
EXAMPLES = 3
EXAMPLE_CHARS = 80
# A line may break after so many characters without a blank, as minified code has them: else the one column pushes the
# other out of the page.
UNBROKEN = r"(\S{20})"
BREAK = "\N{ZERO WIDTH SPACE}"


def beginnings(lake: Lake, wanted: pl.DataFrame) -> pl.DataFrame:
    """[shard, id, text] of the wanted documents [shard, id], each text's first EXAMPLE_CHARS characters."""
    shards = wanted["shard"].unique().to_list()
    if not shards:
        return DOCUMENTS.empty().select("shard", "id", "text")
    rows = lake.scan(DOCUMENTS, {"shard": shards}).filter(pl.col("id").is_in(wanted["id"].to_list()))
    beginning = pl.col("text").str.head(EXAMPLE_CHARS).str.replace_all(UNBROKEN, f"${{1}}{BREAK}")
    return rows.select("shard", "id", beginning).collect()
