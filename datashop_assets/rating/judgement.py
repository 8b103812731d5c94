"""What a rater is given and what it gives: a document and a judgement.

What belongs here: these two types. What does not: the lens (`lens.py`), how a judgement is stored (`annotate.py`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Document:
    """What a rater is given: the document's text and, of a structured record, its fields by name.

    A field is a string, or a list of messages with `role` and `content`. Both are data: whatever they hold is never
    interpreted.
    """

    text: str
    fields: Mapping[str, Any] = field(default_factory=dict)


# Reasons of documents that no rater is asked about: they are nobody's failure, and asking again changes nothing.
SKIPPED = frozenset({"empty_document", "too_short"})


@dataclass(frozen=True)
class Judgement:
    """One rating of one document: a score on the lens's scale, or labels, or the reason why there is neither.

    `reason` is a short code (`unparsable_answer`, `refused`, `endpoint_error`, ...); `raw` keeps what the rater
    returned, so that a failure can be looked at. `criteria` are the scores by criterion on the criteria's own ranges,
    the overall one included. `labels` are those of a label lens by label set; a set that nothing fits is empty.
    `confidence` is in [0, 1] where the rater has one. `chunks` of the document were judged, `cached` of them answered
    from the cache. `requests` are all that were sent to a model, those that failed included; `retries` of them were
    sent because the one before had failed on its way (a busy server, a lost connection, a broken answer), not because
    its answer could not be read. Tokens are those of every answer, readable or not.
    """

    score: float | None
    reason: str | None = None
    rationale: str | None = None
    raw: str | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    seconds: float = 0.0
    criteria: Mapping[str, float] = field(default_factory=dict)
    labels: Mapping[str, tuple[str, ...]] | None = None
    confidence: float | None = None
    chunks: int = 1
    requests: int = 0
    cached: int = 0
    retries: int = 0

    @property
    def skipped(self) -> bool:
        """Whether there was nothing to ask about."""
        return self.reason in SKIPPED

    @property
    def failed(self) -> bool:
        """Whether the rater was to judge the document and did not."""
        return self.reason is not None and not self.skipped

    def __post_init__(self) -> None:
        if (self.score is None and self.labels is None) == (self.reason is None):
            raise ValueError(f"a judgement has a result or the reason of its failure, not both or neither: {self}")
