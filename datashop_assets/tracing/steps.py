"""What a trace says: one step a table, as words for people and as facts for programs.

What belongs here: the types, and how they read as text and as JSON. What does not: finding anything out.
"""

import json
import textwrap
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

WIDTH, STAGE = 120, 16


@dataclass(frozen=True)
class Step:
    """What one table says of the document. `table_version` is null for a table that is not there; `facts` hold what the
    words are made of: numbers, texts, times."""

    stage: str
    words: str
    table: str | None = None
    table_version: int | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Trace:
    """A document's way through every table. `kept` is null where no filter has judged it."""

    lens: str
    shard: str
    id: str
    as_of: str
    kept: bool | None
    verdict: str
    steps: tuple[Step, ...]

    def step(self, stage: str) -> Step:
        """The first step of a stage. Raises KeyError naming the stages."""
        for step in self.steps:
            if step.stage == stage:
                return step
        raise KeyError(f"no step {stage!r}; there are {[step.stage for step in self.steps]}")

    def text(self) -> str:
        """All of it for people: the verdict first, then a paragraph a step."""
        lines = [f"{self.lens} | {self.shard} | {self.id} ({self.as_of})", *textwrap.wrap(self.verdict, WIDTH), ""]
        for step in self.steps:
            where = f" [{step.table} v{step.table_version}]" if step.table_version is not None else ""
            first, *more = step.words.split("\n")
            lines += _wrapped(first + where, step.stage)
            lines += [line for part in more for line in _wrapped(part, "")]
        return "\n".join(lines)

    def to_json(self) -> str:
        """All of it for programs; times are ISO 8601."""
        return json.dumps(asdict(self), indent=1, ensure_ascii=False, default=_plain)


def _wrapped(words: str, stage: str) -> list[str]:
    return textwrap.wrap(words, WIDTH, initial_indent=f"{stage:<{STAGE}}", subsequent_indent=" " * STAGE)


def _plain(value: Any) -> str:
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
