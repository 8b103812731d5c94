"""What changed between two releases of a lens: counts by reason and by source, and examples side by side.

What belongs here: summing up changes and showing them. What does not: finding and attributing them (`changes.py`).
"""

import json
from dataclasses import dataclass
from typing import Any

import polars as pl

from datashop_assets.records import DOCUMENTS
from datashop_assets.seams import LakeHistory
from datashop_assets.tracing.changes import SCHEMA, Side, changes
from datashop_assets.tracing.frames import frame_rows, frame_text
from datashop_assets.tracing.views import ReleaseRow, TraceError, View, at_release, readable

# Characters of an example's text.
SHOWN_CHARS = 80


@dataclass(frozen=True)
class ReleaseDiff:
    """What `after` has that `before` has not, and the other way round.

    `by_reason` has one row [change, reason, documents, characters] a kind of change, `by_source` one row [source,
    before, after, added, removed] a source, `examples` a few documents of each kind with both verdicts and scores.
    `notes` say what has to be known of the numbers.
    """

    before: ReleaseRow
    after: ReleaseRow
    by_reason: pl.DataFrame
    by_source: pl.DataFrame
    examples: pl.DataFrame
    notes: tuple[str, ...] = ()

    def documents(self, change: str) -> int:
        """How many documents were `added` or `removed`."""
        return int(self.by_reason.filter(pl.col("change") == change)["documents"].sum())

    @property
    def in_both(self) -> int:
        """Documents that both releases have."""
        return self.before.documents - self.documents("removed")

    def settings(self) -> pl.DataFrame:
        """One row [what, before, after] for each thing that the releases were made by, and their sizes."""
        old, new = self.before, self.after
        facts = {
            "release": (old.release, new.release),
            "classifier": (old.classifier, new.classifier),
            "cut-off": (old.cutoff, new.cutoff),
            "policy": (old.manifest["cutoff"]["policy"], new.manifest["cutoff"]["policy"]),
            "lower bound": (old.manifest["cutoff"]["lower"], new.manifest["cutoff"]["lower"]),
            "documents": (old.documents, new.documents),
            "bytes of text": (old.manifest["text_bytes"], new.manifest["text_bytes"]),
            "bytes of files": (_bytes(old), _bytes(new)),
        }
        rows = [(name, str(a), str(b)) for name, (a, b) in facts.items()]
        return pl.DataFrame(rows, schema=["what", "before", "after"], orient="row")

    def text(self) -> str:
        """All of it for people."""
        parts = [
            frame_text(self.settings()),
            f"in both: {self.in_both:,}; added: {self.documents('added'):,}; removed: {self.documents('removed'):,}",
            frame_text(self.by_reason),
            frame_text(self.by_source),
            frame_text(self.examples),
            *self.notes,
        ]
        return "\n\n".join(parts)

    def to_json(self) -> str:
        """All of it for programs."""
        frames = ("settings", "by_reason", "by_source", "examples")
        values = {"settings": self.settings(), "by_reason": self.by_reason, "by_source": self.by_source}
        content: dict[str, Any] = {name: frame_rows(values.get(name, self.examples)) for name in frames}
        counts = {"in_both": self.in_both, "added": self.documents("added"), "removed": self.documents("removed")}
        return json.dumps(content | counts | {"notes": self.notes}, indent=1, ensure_ascii=False)


def diff_releases(history: LakeHistory, before: str, after: str, examples: int = 3) -> ReleaseDiff:
    """Compare two releases by the tables at the versions that their manifests name; `examples` of each kind of change.

    Memory is bounded by `changes.DOCUMENTS_AT_ONCE`, or by the largest shard; no text is read but the examples'. Raises
    TraceError where a release is unknown, the lenses differ, or a table's version was vacuumed away.
    """
    old_view, new_view = at_release(history, before), at_release(history, after)
    old, new = old_view.release, new_view.release
    if old is None or new is None or old.lens != new.lens:
        raise TraceError(f"releases {before} and {after} are of different lenses; compare two of one lens")
    counts: list[pl.DataFrame] = []
    shown = pl.DataFrame(schema=SCHEMA)
    with readable(f"releases {old.release} and {new.release}"):
        sides = Side.of(old_view, old.lens, old.classifier), Side.of(new_view, new.lens, new.classifier)
        for frame in changes(*sides, old.lens):
            totals = {"documents": pl.len().cast(pl.Int64), "characters": pl.col("characters").sum()}
            counts.append(frame.group_by("change", "reason", "source").agg(**totals))
            # Ids are hashes mostly, so that the smallest ones are as good as drawn, and the same ones every time.
            shown = pl.concat([shown, frame]).sort("change", "reason", "id")
            shown = shown.group_by("change", "reason", maintain_order=True).head(examples)
        with_text = _with_texts(shown, old_view, new_view)
    schema = {"change": pl.String, "reason": pl.String, "source": pl.String, "documents": pl.Int64}
    every = pl.concat(counts) if counts else pl.DataFrame(schema=schema | {"characters": pl.Int64})
    by_reason = every.group_by("change", "reason").agg(pl.col("documents", "characters").sum())
    diff = ReleaseDiff(old, new, by_reason.sort("change", "reason"), _by_source(every, old, new), with_text)
    return ReleaseDiff(old, new, diff.by_reason, diff.by_source, diff.examples, _notes(diff))


def _by_source(counts: pl.DataFrame, old: ReleaseRow, new: ReleaseRow) -> pl.DataFrame:
    names = sorted({*old.manifest["sources"], *new.manifest["sources"]})
    changed = {
        (change, source): documents
        for change, source, documents in counts.group_by("change", "source").agg(pl.col("documents").sum()).iter_rows()
    }
    rows = [
        (
            name,
            old.manifest["sources"].get(name, 0),
            new.manifest["sources"].get(name, 0),
            changed.get(("added", name), 0),
            changed.get(("removed", name), 0),
        )
        for name in names
    ]
    columns = ["before", "after", "added", "removed"]
    return pl.DataFrame(rows, schema={"source": pl.String} | dict.fromkeys(columns, pl.Int64), orient="row")


def _with_texts(examples: pl.DataFrame, old: View, new: View) -> pl.DataFrame:
    """The examples with the start of their text, of the release that has them."""
    texts = []
    for change, view in (("removed", old), ("added", new)):
        asked = examples.filter(pl.col("change") == change)
        scan = view.lake.scan(DOCUMENTS, {"shard": asked["shard"].unique().to_list()})
        start = pl.col("text").str.slice(0, SHOWN_CHARS).str.replace_all(r"\s+", " ")
        found = scan.filter(pl.col("id").is_in(asked["id"].implode())).select("shard", "id", text=start).collect()
        texts.append(asked.join(found, on=["shard", "id"], how="left", maintain_order="left"))
    return pl.concat(texts)


def _notes(diff: ReleaseDiff) -> tuple[str, ...]:
    expected = diff.in_both + diff.documents("added")
    if expected == diff.after.documents:
        return ()
    return (
        f"By the tables the newer release should hold {expected:,} documents, and it holds {diff.after.documents:,}: "
        "shards of a landing that entered or left the project file between the two stand in the tables all the same.",
    )


def _bytes(release: ReleaseRow) -> int:
    return sum(int(file["bytes"]) for file in release.manifest["files"])
