"""The dataset card of a release: what it is, how it was made, how to check it, and what it does not promise.

What belongs here: the words. What does not: the facts that they tell (`facts.py`), writing files (`release.py`).
"""

import math
from collections.abc import Mapping

import polars as pl
import yaml

from datashop_assets.filtering.cutoff import CutoffRecord
from datashop_assets.filtering.facts import Contents, ReleaseFacts, Tokenized
from datashop_assets.filtering.licenses import license_header
from datashop_assets.release_settings import ReleaseSettings

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


def dataset_card(
    facts: ReleaseFacts, contents: Contents, columns: Mapping[str, pl.DataType | type[pl.DataType]]
) -> str:
    """The README.md of a release, with the header by which `datasets.load_dataset(<folder>)` finds the files."""
    lens, cutoff = facts.lens, facts.cutoff
    header = {
        **license_header(contents.licenses),
        "pretty_name": f"{lens.title}: release {facts.release}",
        "task_categories": ["text-generation"],
        "size_categories": [_size(contents.documents)],
        "tags": ["datashop", lens.name],
        **_loading(facts.settings, columns),
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
        *_rows(facts),
        *([] if contents.tokenized is None else token_lines(contents.tokenized)),
        "## How it was made",
        f"1. The rater `{facts.rater}` judged a sample of the documents on a scale from {lens.low} to {lens.high}.",
        f"2. The classifier `{cutoff.classifier}` learnt to imitate it and scored {cutoff.documents:,} documents in "
        f"{len(cutoff.shards)} shards.",
        f"3. The cut-off `{cutoff.cutoff}` kept {_bounds(cutoff)}: {cutoff.kept_share:.2%} of them on the day it was "
        f"made. The policy was `{cutoff.policy}`.",
        *_removed(contents),
        "",
        "How well the classifier imitates the rater, on texts that it was not trained on:",
        "",
        "| metric | value | 95 % interval | n |",
        "|---|---|---|---|",
        *(f"| {name} | {e.value:.3f} | {e.interval} | {e.n} |" for name, e in facts.quality.items()),
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
        "version of every table that the release was cut from. Two releases with the same `content` there hold the "
        "same data, byte for byte.",
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


def token_lines(tokenized: Tokenized) -> list[str]:
    """What a reader needs to train on the token files."""
    return [
        "## Tokens",
        f"`tokenized/` has {tokenized.tokens:,} tokens of the same documents in the same order, by the tokenizer of "
        f"`{tokenized.tokenizer}` (id `{tokenized.tokenizer_id}`, {tokenized.vocabulary:,} tokens): end to end, token "
        f"{tokenized.eos} (EOS) after every document and nothing between them, nothing padded or cut. Special tokens "
        "that stand in a text are read as text. A sequence length is yours to choose; what is left at the end of a "
        "file, less than one sequence, is yours to use or to leave.",
        "",
        "```python",
        "from pathlib import Path",
        "",
        "import numpy as np",
        "import polars as pl",
        "",
        "length = 2048",
        'for file in sorted(Path("<this folder>", "tokenized").glob("*.bin")):',
        f'    tokens = np.memmap(file, dtype="{tokenized.dtype}", mode="r")',
        "    sequences = tokens[: len(tokens) // length * length].reshape(-1, length)  # documents packed end to end",
        "    # shard, id, start (in tokens) and tokens of each document, for attention that stops at their bounds",
        '    documents = pl.read_parquet(file.with_suffix(".documents.parquet"))',
        "```",
        "",
        "`.bin` and `.idx` together are an indexed dataset of Megatron-LM, as NeMo and GPT-NeoX read it too: give them "
        "the path without its ending.",
        "",
    ]


def jsonl_card(facts: ReleaseFacts, columns: Mapping[str, pl.DataType | type[pl.DataType]]) -> str:
    """The README.md beside the jsonl files: the types of the columns, for `datasets.load_dataset(<folder>/jsonl)`."""
    header = yaml.safe_dump(_features(columns), sort_keys=False).strip()
    return f"---\n{header}\n---\nThe rows of release {facts.release} as jsonl, one object a line; see ../README.md.\n"


def _features(columns: Mapping[str, pl.DataType | type[pl.DataType]]) -> dict[str, object]:
    """The types of the columns of jsonl files.

    Without them `datasets` takes the types of the first rows for those of all: a licence that is unknown in the first
    10 MB could not be text later on.
    """
    features = [{"name": name, "dtype": DTYPES[dtype.base_type()]} for name, dtype in columns.items()]
    return {"dataset_info": {"features": features}}


def _loading(settings: ReleaseSettings, columns: Mapping[str, pl.DataType | type[pl.DataType]]) -> dict[str, object]:
    """The keys by which `datasets` finds the rows: one format only, as it reads all of a folder's configs alike."""

    def files(pattern: str) -> dict[str, object]:
        return {"configs": [{"config_name": "default", "data_files": [{"split": "train", "path": pattern}]}]}

    if "parquet" in settings.formats:
        return files("data/train-*.parquet")
    if "jsonl" in settings.formats:
        return {**_features(columns), **files("jsonl/train-*.jsonl.zst")}
    return files("tokenized/train-*.documents.parquet")


def _rows(facts: ReleaseFacts) -> list[str]:
    """How the rows are loaded, and what their columns are; nothing where only tokens are written."""
    lens, formats = facts.lens, facts.settings.formats
    if "parquet" not in formats and "jsonl" not in formats:
        return []
    both = "parquet" in formats and "jsonl" in formats
    lines = [
        "```python",
        "from datasets import load_dataset",
        "",
        'train = load_dataset("<this folder>", split="train")'
        + ('  # the same rows as jsonl: "<this folder>/jsonl"' if both else ""),
        "```",
        "",
    ]
    if facts.settings.sort_by_score == "within_files":
        lines += [
            "In each file the best score comes first, so that a reader of the parquet files who asks for a least score "
            "skips the row groups below it.",
            "",
        ]
    return [
        *lines,
        "| column | meaning |",
        "|---|---|",
        "| id | of the document, unique within its shard |",
        "| text | as it was read from the crawl, but for what is said below to be cut out |",
        "| source | where the document came from |",
        "| license | of the document, as its crawl file states it; null where it is unknown |",
        f"| score | the classifier's prediction on the scale {lens.low} to {lens.high}, real-valued, not clipped |",
        "| int_score | the score rounded half to even and clipped to the scale |",
        "| shard | the bundle of crawl files that it was read from |",
        "",
    ]


def _removed(contents: Contents) -> list[str]:
    if not contents.characters_removed:
        return ["4. Nothing was cut out of their texts."]
    return [
        f"4. {contents.characters_removed:,} characters were cut out of their texts: paragraphs that had stood in the "
        "same document before."
    ]


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
    """Which scores are kept. A draw's bounds are on scores with noise, and say nothing of the scores alone."""
    rule = cutoff.ranking.rule
    if rule.draw:
        return f"documents drawn by their score (temperature {rule.draw.temperature:g}, seed {rule.draw.seed})"
    if cutoff.lower_by_source:
        by_source = sorted(cutoff.lower_by_source.items())
        bounds = [f"{_cell(source)} {'none' if math.isinf(lower) else f'{lower:g}'}" for source, lower in by_source]
        return f"by source, scores at least: {', '.join(bounds)} (`*` stands for all others)"
    ends = (("at least", cutoff.lower), ("at most", cutoff.upper))
    bounds = [f"{word} {bound:g}" for word, bound in ends if bound is not None]
    if not bounds:
        return "the documents that meet its condition"
    return f"scores {'not ' if cutoff.reverse else ''}{' and '.join(bounds)}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
