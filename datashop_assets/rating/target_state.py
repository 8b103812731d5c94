"""One target's description, from corpora to lens folder and record: what was described is not described again.

What belongs here: the order of the steps, the records, and what becomes of a person's edits. What does not: asking
(`targets.py`), the asset (`target_assets.py`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import polars as pl

from datashop_assets.lineage import content_id
from datashop_assets.project import TargetSettings
from datashop_assets.rating.target_corpora import example_texts
from datashop_assets.rating.targets import (
    RECIPE,
    Excerpt,
    TargetError,
    describe,
    excerpt,
    write_lens,
    written_description,
)
from datashop_assets.records import TARGET_DESCRIPTIONS
from datashop_assets.seams import ChatModel, Lake


@dataclass(frozen=True)
class TargetDescription:
    """A target's description as it stands in its lens folder. `made` is false where it stood there before."""

    text: str
    parts: Mapping[str, str] = field(default_factory=dict)
    by: Literal["model", "person"] = "model"
    made: bool = True
    edited: bool = False
    questions: int = 0
    tokens: int = 0


def newest(lake: Lake, target: str) -> dict[str, Any] | None:
    """The target's newest record."""
    rows = lake.scan(TARGET_DESCRIPTIONS).filter(pl.col("target") == target).sort("made_at").collect()
    return rows.to_dicts()[-1] if rows.height else None


def produce_description(
    lake: Lake,
    target: str,
    settings: TargetSettings,
    folder: Path,
    model_lens: Path,
    model: Callable[[], ChatModel],
    lineage: Mapping[str, Any],
    *,
    own: str | None = None,
    overwrite: bool = False,
    log: Callable[[str], Any] = lambda _: None,
) -> TargetDescription:
    """Describe the target, write its lens folder and record it; or return what is there.

    `own` is a person's description, which is taken as it is. One that a person edited in the lens folder stays unless
    `overwrite` says otherwise: with the same corpora it is in force, with others TargetError says so.
    """
    known, written = newest(lake, target), written_description(folder)
    if own is not None:
        if not own.strip():
            raise TargetError(f"target {target!r}: the description in the config is empty")
        return _keep(
            lake, target, settings, folder, model_lens, lineage, TargetDescription(own.strip(), by="person"), None
        )
    asked = model()
    asked.start()
    excerpts = [excerpt(c.name, _within(c.tokens, example_texts(c)), c.tokens, asked) for c in settings.corpora]
    inputs = inputs_of(excerpts, asked.id)
    edited = written is not None and (known is None or written != known["description"].strip())
    current = known is not None and known["inputs_version"] in (inputs, None)
    if written and not overwrite and (current or edited):
        if not current:
            raise TargetError(
                f"the description of target {target!r} in {folder / 'lens.yaml'} was edited, and its corpora or rater "
                "have changed since it was made; materialize with overwrite: true to describe it anew, or give your "
                "own as description"
            )
        parts = {part["corpus"]: part["description"] for part in (known or {}).get("parts") or []}
        return TargetDescription(written, parts, made=False, edited=edited, by="person" if edited else "model")
    made = describe(excerpts, asked, log=log)
    tokens = made.input_tokens + made.output_tokens
    described = TargetDescription(made.text, made.parts, questions=made.questions, tokens=tokens)
    return _keep(lake, target, settings, folder, model_lens, lineage, described, inputs, asked.id)


def inputs_of(excerpts: Sequence[Excerpt], model: str) -> str:
    """Content id of what a description is made from."""
    return content_id("target", RECIPE, [[part.corpus, part.text] for part in excerpts], model)


def _within(tokens: int, texts: Any) -> list[str]:
    """As many texts as can matter for a budget: a token has one character at least, and seldom more than 16."""
    taken: list[str] = []
    characters = 0
    for text in texts:
        taken.append(text)
        characters += len(text)
        if characters > 16 * tokens:
            break
    return taken


def _keep(
    lake: Lake,
    target: str,
    settings: TargetSettings,
    folder: Path,
    model_lens: Path,
    lineage: Mapping[str, Any],
    described: TargetDescription,
    inputs: str | None,
    rater: str | None = None,
) -> TargetDescription:
    write_lens(folder, settings.title, described.text, model_lens)
    row = {
        "target": target,
        "description": described.text,
        "parts": [{"corpus": name, "description": text} for name, text in described.parts.items()],
        "inputs_version": inputs,
        "rater": rater,
        "by": described.by,
        "made_at": datetime.now(UTC),
    }
    lake.commit(TARGET_DESCRIPTIONS, pl.DataFrame([row], schema=TARGET_DESCRIPTIONS.schema), None, lineage)
    return described
