"""The texts that an anneal or an evaluation draws from: whole shards in hash order, until there is enough.

What belongs here: reading documents and releases from the lake. What does not: choosing among them (`mixture.py`,
`evaluation/slices.py`).
"""

from collections.abc import Callable

import polars as pl

from datashop_assets.filtering.produce import filtered_corpus
from datashop_assets.filtering.state import releasable_shards
from datashop_assets.lineage import stable_fraction
from datashop_assets.project import Project
from datashop_assets.records import DOCUMENTS, FILTERED
from datashop_assets.seams import Lake

COLUMNS = ("id", "text", "text_sha", "source")


Enough = Callable[[pl.DataFrame], bool]


def draw_documents(lake: Lake, project: Project, seed: int, enough: Enough) -> pl.DataFrame:
    """Documents (id, text, text_sha, source) of whole shards in a seeded hash order, until `enough` says so.

    A corpus of any size costs no more than the shards that are needed. Shards that cannot be released are left
    out. May return fewer than enough, and nothing for an empty corpus.
    """

    def read(shard: str) -> pl.LazyFrame:
        return lake.scan(DOCUMENTS, {"shard": [shard]}).sort("file", "row")

    return _draw(releasable_shards(lake, project), seed, read, enough)


def kept_documents(lake: Lake, lens: str, project: Project, characters: int, seed: int) -> pl.DataFrame:
    """Documents that the lens's cut-off keeps, of shards in hash order, until there are `characters` of them.

    They are those that a release of this moment would hold. Raises ReleaseError where the corpus is not wholly
    filtered by the cut-off in force.
    """
    corpus = filtered_corpus(lake, lens, project)

    def read(shard: str) -> pl.LazyFrame:
        where = {"shard": [shard]}
        kept = lake.scan(FILTERED.of(lens), where, corpus.tables[FILTERED.of(lens).name]).filter("kept").select("id")
        documents = lake.scan(DOCUMENTS, where, corpus.tables[DOCUMENTS.name])
        return documents.join(kept, on="id", how="semi").sort("id")

    return _draw([cell.shard for cell in corpus.cells], seed, read, has_characters(characters))


def has_characters(least: int) -> Enough:
    """Is there this much text?"""

    def enough(drawn: pl.DataFrame) -> bool:
        return int(drawn["text"].str.len_chars().sum()) >= least

    return enough


def _draw(shards: list[str], seed: int, read: Callable[[str], pl.LazyFrame], enough: Enough) -> pl.DataFrame:
    drawn = DOCUMENTS.empty().select(COLUMNS)
    for shard in sorted(shards, key=lambda key: stable_fraction(f"shard:{seed}:{key}")):
        drawn = pl.concat([drawn, read(shard).select(COLUMNS).collect()])
        if enough(drawn):
            break
    return drawn
