"""What an encoder has done: documents, tokens, time, and how much of the machine's arithmetic that was.

What belongs here: the totals and what follows from them. What does not: counting (`resources/encoders/`).
"""

from dataclasses import dataclass, fields


@dataclass(frozen=True)
class EncodingFigures:
    """Totals since an encoder was made; the difference of two is what was done between them.

    `flops` counts the products that were computed, without padding; `peak_flops` is the product of the seconds and the
    measured matmul peak of the threads or devices in use, in the precision of the arithmetic; 0 where none is known.
    """

    documents: int = 0
    tokens: int = 0
    seconds: float = 0.0
    flops: float = 0.0
    peak_flops: float = 0.0
    halved_batches: int = 0

    def __add__(self, other: "EncodingFigures") -> "EncodingFigures":
        return EncodingFigures(*(getattr(self, each.name) + getattr(other, each.name) for each in fields(self)))

    def __sub__(self, other: "EncodingFigures") -> "EncodingFigures":
        return EncodingFigures(*(getattr(self, each.name) - getattr(other, each.name) for each in fields(self)))

    @property
    def documents_per_second(self) -> float | None:
        return self.documents / self.seconds if self.seconds else None

    @property
    def tokens_per_second(self) -> float | None:
        return self.tokens / self.seconds if self.seconds else None

    @property
    def share_of_peak(self) -> float | None:
        """Computed products as a share of what the machine's matmul peak would have allowed in the time."""
        return self.flops / self.peak_flops if self.peak_flops else None

    def __str__(self) -> str:
        """Tokens a second and the share of the peak, as far as they are known."""
        parts = [f"{self.tokens_per_second:,.0f} tokens/s"] if self.tokens_per_second else []
        return ", ".join([*parts, *([f"{self.share_of_peak:.0%} of the matmul peak"] if self.share_of_peak else [])])
