"""The dataset card of a release: what it is, how it was made, how to check it, and what it does not promise.

What belongs here: the facts that a release tells of itself, and the words around them. What does not: writing files
(`release.py`).
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl
import yaml

from datashop_assets.estimate import Estimate
from datashop_assets.filtering.cutoff import CutoffRecord
from datashop_assets.filtering.licenses import license_header
from datashop_assets.markdown import figures_table
from datashop_assets.rating.lens import Lens

# The hub's size classes, each with the number of rows that it ends below.
SIZES = {
    10**3: "n<1K",
    10**4: "1K<n<10K",
    10**5: "10K<n<100K",
    10**6: "100K<n<1M",
    10**7: "1M<n<10M",
    10**8: "10M<n<100M",
    10**9: "100M<n<1B",
    10**10: "1B<n<10B",
    10**11: "10B<n<100B",
    10**12: "100B<n<1T",
}
# The names that `datasets` has for the types of a release's columns.
DTYPES = {pl.String: "string", pl.Float32: "float32", pl.Int8: "int8"}


@dataclass(frozen=True)
class ReleaseFacts:
    """What a release was cut from.

    `release` is its content id, `rater` names the model whose ratings the classifier learnt, `quality` are the
    classifier's held-out metrics, `tables` the version of each table that was read.
    """

    release: str
    lens: Lens
    cutoff: CutoffRecord
    rater: str
    quality: Mapping[str, Estimate]
    tables: Mapping[str, int]


@dataclass(frozen=True)
class Contents:
    """What was written: the bytes of the text in UTF-8, documents by (source, licence) and by integer score.

    A licence is null where it is unknown.
    """

    text_bytes: int
    origins: Mapping[tuple[str, str | None], int]
    int_scores: Mapping[int, int]

    @property
    def documents(self) -> int:
        return sum(self.origins.values())

    @property
    def sources(self) -> Counter[str]:
        counts: Counter[str] = Counter()
        for (source, _), documents in self.origins.items():
            counts[source] += documents
        return counts

    @property
    def licenses(self) -> Counter[str | None]:
        counts: Counter[str | None] = Counter()
        for (_, licence), documents in self.origins.items():
            counts[licence] += documents
        return counts

    def by_origin(self) -> list[tuple[tuple[str, str | None], int]]:
        """`origins`, the largest source first, and in a source the most frequent licence."""
        sources = self.sources

        def rank(item: tuple[tuple[str, str | None], int]) -> tuple[int, str, int, bool, str]:
            (source, licence), documents = item
            return -sources[source], source, -documents, licence is None, licence or ""

        return sorted(self.origins.items(), key=rank)


def dataset_card(facts: ReleaseFacts, contents: Contents) -> str:
    """The README.md of a release, with the header by which `datasets.load_dataset(<folder>)` finds the files."""
    lens, cutoff = facts.lens, facts.cutoff
    header = {
        **license_header(contents.licenses),
        "pretty_name": f"{lens.title}: release {facts.release}",
        "task_categories": ["text-generation"],
        "size_categories": [_size(contents.documents)],
        "tags": ["datashop", lens.name],
        # One format only: `datasets` reads all configs of a folder with the reader of the first.
        "configs": [{"config_name": "default", "data_files": [{"split": "train", "path": "data/train-*.parquet"}]}],
    }
    lines = [
        "---",
        yaml.safe_dump(header, sort_keys=False, allow_unicode=True).strip(),
        "---",
        f"# {lens.title}: release {facts.release}",
        "",
        f"{contents.documents:,} documents ({contents.text_bytes:,} bytes of text) that a classifier chose from "
        f"{cutoff.documents:,} scored ones through the lens `{lens.name}`: {lens.description}",
        "",
        "```python",
        "from datasets import load_dataset",
        "",
        'train = load_dataset("<this folder>", split="train")  # the same rows as jsonl: "<this folder>/jsonl"',
        "```",
        "",
        "| column | meaning |",
        "|---|---|",
        "| id | of the document, unique within its shard |",
        "| text | as it was read from the crawl, unchanged |",
        "| source | where the document came from |",
        "| license | of the document, as its crawl file states it; null where it is unknown |",
        f"| score | the classifier's prediction on the scale {lens.low} to {lens.high}, real-valued, not clipped |",
        "| int_score | the score rounded half to even and clipped to the scale |",
        "| shard | the bundle of crawl files that it was read from |",
        "",
        "## How it was made",
        f"1. The rater `{facts.rater}` judged a sample of the documents on a scale from {lens.low} to {lens.high}.",
        f"2. The classifier `{cutoff.classifier}` learnt to imitate it and scored {cutoff.documents:,} documents in "
        f"{len(cutoff.shards)} shards.",
        f"3. The cut-off `{cutoff.cutoff}` kept {_bounds(cutoff)}: {cutoff.kept_share:.2%} of them on the day it was "
        f"made. The policy was `{cutoff.policy}`.",
        "",
        "How well the classifier imitates the rater, on texts that it was not trained on:",
        "",
        figures_table(facts.quality),
        "",
        "## Sources and licences",
        *_origins(contents),
        "",
        "| int_score | documents |",
        "|---|---|",
        *(f"| {score} | {count:,} |" for score, count in sorted(contents.int_scores.items())),
        "",
        "## Check it",
        "`sha256sum -c SHA256SUMS` in this folder; `manifest.json` has every file's rows, bytes and checksum, and the "
        "version of every table that the release was cut from.",
        "",
        "## Limits",
        "- The ratings are a model's, and the classifier imitates them: agreement with either is not agreement with "
        "people. Whether training on this text helps is a question for an evaluation, not for this card.",
        f"- A lens sees one quality. A document that scores high here can still be false, offensive, or private; "
        f"the rater saw the first {lens.max_chars:,} characters of a document.",
        "- The text belongs to its authors. A licence stands here as the crawl file states it, copied and not checked. "
        "Where it is not recorded, find it out before you pass the text on.",
    ]
    return "\n".join(lines) + "\n"


def jsonl_card(facts: ReleaseFacts, columns: Mapping[str, pl.DataType | type[pl.DataType]]) -> str:
    """The README.md beside the jsonl files: the types of the columns, for `datasets.load_dataset(<folder>/jsonl)`.

    Without them `datasets` takes the types of the first rows for those of all: a licence that is unknown in the first
    10 MB could not be text later on.
    """
    features = [{"name": name, "dtype": DTYPES[dtype.base_type()]} for name, dtype in columns.items()]
    header = yaml.safe_dump({"dataset_info": {"features": features}}, sort_keys=False).strip()
    return f"---\n{header}\n---\nThe rows of release {facts.release} as jsonl, one object a line; see ../README.md.\n"


def _origins(contents: Contents) -> list[str]:
    """Documents by source and licence, and how many are of unknown licence."""
    lines = ["| source | licence | documents | share |", "|---|---|---|---|"]
    for (source, licence), documents in contents.by_origin():
        named = "not recorded" if licence is None else _cell(licence)
        lines.append(f"| {_cell(source)} | {named} | {documents:,} | {documents / contents.documents:.1%} |")
    if unknown := contents.licenses[None]:
        lines += ["", f"The licence of {unknown:,} documents ({unknown / contents.documents:.1%}) is not recorded."]
    return lines


def _size(documents: int) -> str:
    return next((name for limit, name in SIZES.items() if documents < limit), "n>1T")


def _bounds(cutoff: CutoffRecord) -> str:
    bounds = [
        f"{word} {bound:g}"
        for word, bound in (("at least", cutoff.lower), ("at most", cutoff.upper))
        if bound is not None
    ]
    return f"scores {'not ' if cutoff.reverse else ''}{' and '.join(bounds)}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
