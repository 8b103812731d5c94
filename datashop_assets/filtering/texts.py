"""The kept documents of a corpus with their text, in release order, one row group in memory at a time.

What belongs here: reading them from the tables. What does not: which documents are kept (`filter.py`), which parts of
a text are cut out (`spans.py`), writing files (`release.py`).

Scores are never joined to the corpus's text: a hash join of the two held 2.3 GB where 0.4 to 0.7 do (1 M documents,
2 GB of text). The narrow tables say first which documents are kept and where they stand; then their text is read by
id, as a predicate of the scan, so that a row group without any of them is skipped and no other text is decoded.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from datashop_assets.filtering.cutoff import CutoffRecord
from datashop_assets.records import DOCUMENTS, FILTERED, SCORES, TableSpec
from datashop_assets.seams import Lake

# Documents whose narrow rows are looked at together: 100 bytes each. A larger shard is looked at whole.
DOCUMENTS_AT_ONCE = 500_000
# Characters of text read together at most, beside one document: documents can be long, so rows alone are no bound.
CHARS_AT_ONCE = 32_000_000
KEY = ["shard", "id"]
READ = ("text", "source", "license")


@dataclass(frozen=True)
class KeptTexts:
    """The documents that a cut-off keeps, of `shards` in this order and by file and row in each.

    Iterated, it gives frames [shard, id, score, int_score, text, source, license] of at most `rows` rows, as many as
    the tables had at `versions`. A column of a document that is not in the table any more is null.
    """

    lake: Lake
    cutoff: CutoffRecord
    shards: Sequence[str]
    versions: Mapping[str, int]
    rows: int
    chars: int = CHARS_AT_ONCE

    def __iter__(self) -> Iterator[pl.DataFrame]:
        for stretch in self._stretches():
            for places in read_together(self.places(stretch), self.rows, self.chars):
                yield self.read(places)

    def places(self, shards: Sequence[str]) -> pl.DataFrame:
        """The kept documents of some shards, [shard, id, score, int_score, file, row, chars], in release order."""
        kept = self._scan(FILTERED.of(self.cutoff.lens), shards).filter("kept").select(KEY).collect()
        ids = kept["id"].implode()
        scores = self._scan(SCORES.of(self.cutoff.lens), shards, classifier=[self.cutoff.classifier])
        found = kept.join(
            scores.select(*KEY, "score", "int_score").filter(pl.col("id").is_in(ids)).collect(), on=KEY, how="left"
        )
        documents = self._scan(DOCUMENTS, shards).select(*KEY, "file", "row", "chars")
        found = found.join(documents.filter(pl.col("id").is_in(ids)).collect(), on=KEY, how="left")
        number = pl.col("shard").replace_strict(list(shards), range(len(shards)), return_dtype=pl.Int64)
        return found.sort(number, "file", "row")

    def read(self, places: pl.DataFrame) -> pl.DataFrame:
        """Their text, source and licence, in the order of `places`."""
        shards = places["shard"].unique().to_list()
        documents = self._scan(DOCUMENTS, shards).filter(pl.col("id").is_in(places["id"].implode()))
        if len(shards) == 1:  # by the statistics of file and row, row groups before and after are skipped
            first, last = places["file"][0], places["file"][-1]
            documents = documents.filter(pl.col("file").is_between(pl.lit(first), pl.lit(last)))
            if first == last:
                documents = documents.filter(pl.col("row").is_between(places["row"][0], places["row"][-1]))
        texts = documents.select(*KEY, *READ).collect()
        return places.select(*KEY, "score", "int_score").join(texts, on=KEY, how="left", maintain_order="left")

    def _scan(self, table: TableSpec, shards: Sequence[str], **where: list[str]) -> pl.LazyFrame:
        return self.lake.scan(table, {"shard": list(shards), **where}, self.versions[table.name])

    def _stretches(self) -> Iterator[list[str]]:
        """Neighbouring shards with DOCUMENTS_AT_ONCE documents or fewer; a table's scan costs some milliseconds."""
        sizes = dict(self.lake.cells(FILTERED.of(self.cutoff.lens)).select("shard", "rows").iter_rows())
        stretch: list[str] = []
        held = 0
        for shard in self.shards:
            if stretch and held + sizes.get(shard, 0) > DOCUMENTS_AT_ONCE:
                yield stretch
                stretch, held = [], 0
            stretch.append(shard)
            held += sizes.get(shard, 0)
        if stretch:
            yield stretch


def read_together(places: pl.DataFrame, rows: int, chars: int) -> Iterator[pl.DataFrame]:
    """`places` [shard, chars, ...], grouped by shard, cut into neighbours: whole shards together, or a part of one.

    At most `rows` rows and `chars` characters each; a longer document stands alone.
    """
    pending: list[pl.DataFrame] = []
    height = size = 0
    for shard in places.partition_by("shard", maintain_order=True):
        text = int(shard["chars"].sum())
        if pending and (height + shard.height > rows or size + text > chars):
            yield pl.concat(pending)
            pending, height, size = [], 0, 0
        if shard.height > rows or text > chars:
            yield from _parts(shard, rows, chars)
        else:
            pending.append(shard)
            height, size = height + shard.height, size + text
    if pending:
        yield pl.concat(pending)


def _parts(shard: pl.DataFrame, rows: int, chars: int) -> Iterator[pl.DataFrame]:
    start = size = 0
    for number, length in enumerate(shard["chars"].fill_null(0).to_list()):
        if number > start and (number - start == rows or size + length > chars):
            yield shard[start:number]
            start, size = number, 0
        size += length
    yield shard[start:]
