"""What a project may say of how its kept documents are released.

What belongs here: the settings, checked and frozen. What does not: writing a release (`filtering/release.py`).
"""

from typing import Literal

from pydantic import Field, field_validator

from datashop_assets.settings import Settings

Format = Literal["parquet", "jsonl", "tokenized"]


class ReleaseSettings(Settings):
    """The files of a release: which formats, how large, in which order."""

    formats: tuple[Format, ...] = Field(
        ("parquet", "jsonl"),
        min_length=1,
        description="parquet, jsonl (jsonl.zst), tokenized (token files and their index, for training)",
    )
    file_bytes: int = Field(1_000_000_000, gt=0, description="a file closes once it holds so many bytes of text")
    row_group_rows: int = Field(
        10_000, gt=0, description="rows of a parquet row group at most, and what is in memory at once"
    )
    sort_by_score: Literal["none", "within_files"] = Field(
        "none",
        description="within_files: the best first in each file, so that readers who ask for a score skip row groups; "
        "none: in the order of the documents",
    )
    tokenizer: str | None = Field(
        None, description="tokenized: a model whose tokenizer it is, by reference; null: the one that is annealed"
    )

    @field_validator("formats")
    @classmethod
    def each_once(cls, formats: tuple[Format, ...]) -> tuple[Format, ...]:
        if len(set(formats)) < len(formats):
            raise ValueError(f"each format once; got {list(formats)}")
        return formats
