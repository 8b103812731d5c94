"""What a project may say of duplicates, repeated paragraphs and texts that evaluations ask for.

What belongs here: the settings, checked and frozen; all of it is off by default. What does not: finding them (the
deduplication stage).
"""

from collections.abc import Callable
from typing import Any, Literal

from pydantic import Field, model_validator

from datashop_assets.settings import Settings


class NearDuplicateSettings(Settings):
    """When two documents are nearly the same: by MinHash over n-grams of words.

    The defaults are those of FineWeb (Penedo et al. 2024, arXiv:2406.17557, section 3.4): 5-grams, 112 hashes in 14
    bands of 8, so that a pair of similarity 0.8 becomes a candidate with probability 0.92, one of 0.5 with 0.05.
    Candidates count from `threshold` on.
    """

    threshold: float = Field(0.75, gt=0, le=1, description="Jaccard similarity, estimated from the signatures")
    words: int = Field(5, ge=1, description="length of the n-grams whose sets are compared")
    bands: int = Field(14, ge=1, description="a pair is a candidate where all hashes of one band agree")
    rows: int = Field(8, ge=1, description="hashes of a band; bands x rows is the length of a signature")


class RepeatedParagraphSettings(Settings):
    """Paragraphs that stand more than once in one document: all but the first are cut out of a release."""

    separator: Literal["blank_line", "line"] = Field(
        "blank_line", description="what ends a paragraph; in code and verse lines repeat by right"
    )
    shortest: int = Field(8, ge=1, description="words; shorter ones (headings, rulers, directives) may repeat")
    most_removed: float = Field(
        0.5, gt=0, le=1, description="share of a document's characters; where more would go, the document is rejected"
    )


class EvaluationTexts(Settings):
    """Items of an evaluation set, from files: a document that contains one is not trained on."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")
    files: tuple[str, ...] = Field(
        min_length=1, description="parquet or jsonl; paths or fsspec URLs, `*` allowed; relative to the project file"
    )
    columns: tuple[str, ...] = Field(("text",), min_length=1, description="each is a text of the item, e.g. question")


class ContaminationSettings(Settings):
    """Overlap with what models are evaluated on: n-grams of words, as GPT-3's authors looked for it."""

    words: int = Field(13, ge=5, description="length of the n-grams; shorter items count where they stand whole")
    shortest: int = Field(8, ge=3, description="words; a shorter item is in no index, it would match by chance")
    mmlu: bool = Field(True, description="the MMLU questions that lm-eval ships, which the evaluation stage asks")
    sets: tuple[EvaluationTexts, ...] = Field((), description="more evaluation sets")

    @property
    def what(self) -> tuple[Any, ...]:
        """What is looked for, wherever the files lie."""
        sets = [(each.name, [file.rpartition("/")[2] for file in each.files], each.columns) for each in self.sets]
        return self.words, self.shortest, self.mmlu, sets

    @model_validator(mode="after")
    def names_differ(self) -> "ContaminationSettings":
        names = [each.name for each in self.sets]
        if len({*names, "mmlu"}) <= len(names):
            raise ValueError(f"each evaluation set needs a name of its own, other than mmlu; got {names}")
        if self.shortest > self.words:
            raise ValueError(f"shortest ({self.shortest} words) is more than the n-grams have ({self.words})")
        if not (self.mmlu or self.sets):
            raise ValueError("there is nothing to look for: set mmlu, name sets, or leave contamination out")
        return self


class DeduplicationSettings(Settings):
    """Which documents, and which parts of them, are left out whatever their score; nothing by default."""

    exact: bool = Field(False, description="reject a document whose text an earlier document has")
    near: NearDuplicateSettings | None = Field(None, description="reject near duplicates of earlier documents")
    paragraphs: RepeatedParagraphSettings | None = Field(None, description="cut repeated paragraphs out of releases")
    contamination: ContaminationSettings | None = Field(
        None, description="reject documents that hold items of evaluation sets"
    )

    @property
    def compares_documents(self) -> bool:
        """Whether documents are compared with each other, across shards."""
        return self.exact or self.near is not None

    def with_places(self, absolute: Callable[[str], str]) -> "DeduplicationSettings":
        """The same with the evaluation sets' files where `absolute` says they are."""
        if self.contamination is None:
            return self
        sets = tuple(
            each.model_copy(update={"files": tuple(map(absolute, each.files))}) for each in self.contamination.sets
        )
        return self.model_copy(update={"contamination": self.contamination.model_copy(update={"sets": sets})})
