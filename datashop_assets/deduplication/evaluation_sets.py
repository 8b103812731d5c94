"""The evaluation sets that documents must not hold: their items, as texts.

What belongs here: reading them, and the identity of what was read. What does not: looking for them in documents
(`contamination.py`), file formats (`corpus/readers.py`).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, cast

from fsspec.core import url_to_fs

from datashop_assets.corpus.readers import BadRow, Wanted, format_of, read_rows
from datashop_assets.corpus.structured import column_text
from datashop_assets.deduplication_settings import ContaminationSettings, EvaluationTexts
from datashop_assets.lineage import content_id
from datashop_assets.mmlu import LETTERS, Question, mmlu_questions

LONGEST_ITEM_BYTES = 1_000_000


class EvaluationSetError(ValueError):
    """An evaluation set that cannot be read; the message names it, the file and the mend."""


@dataclass(frozen=True)
class Item:
    """An item by name (set and place in it), and the texts by which a document that holds it is known."""

    name: str
    texts: tuple[str, ...]


def evaluation_items(settings: ContaminationSettings) -> tuple[Item, ...]:
    """The items of all sets of the settings.

    Raises EvaluationSetError, UnreadableFileError where a file is damaged or lacks a column, and FileNotFoundError
    where lm-eval, whose questions are asked for, is not installed.
    """
    asked = tuple(map(_mmlu_item, mmlu_questions(None))) if settings.mmlu else ()
    return (*asked, *(item for each in settings.sets for item in _file_items(each)))


def items_id(items: Sequence[Item]) -> str:
    """Content id: equal items, in the same order, have equal ids."""
    return content_id("evaluation items", [asdict(item) for item in items])


def _mmlu_item(question: Question) -> Item:
    """A question by itself, and with its choices, lettered and not: pages that copy it do either."""
    lettered = "\n".join(f"{letter}. {choice}" for letter, choice in zip(LETTERS, question.choices, strict=True))
    plain = "\n".join(question.choices)
    texts = (question.question, f"{question.question}\n{lettered}", f"{question.question}\n{plain}")
    return Item(f"mmlu/{question.id}", texts)


def _file_items(given: EvaluationTexts) -> Iterator[Item]:
    for url in given.files:
        fs, pattern = url_to_fs(url)
        paths = sorted(cast(list[str], fs.glob(pattern))) if "*" in pattern else [pattern]
        if not paths or not all(fs.exists(path) for path in paths):
            raise EvaluationSetError(f"the evaluation set {given.name!r}: there is no file at {url}")
        for path in paths:
            if format_of(path) is None:
                raise EvaluationSetError(
                    f"the evaluation set {given.name!r}: {path} is of no known format; parquet, jsonl, jsonl.gz, "
                    "jsonl.zst and arrow are"
                )
            with fs.open(path, "rb") as handle:
                for number, values in read_rows(path, handle, Wanted(given.columns, (), LONGEST_ITEM_BYTES)):
                    try:
                        texts = _texts(values, given.columns)
                    except BadRow as bad:
                        raise EvaluationSetError(
                            f"the evaluation set {given.name!r}: {path} row {number}: {bad.reason}, {bad.detail}"
                        ) from bad
                    yield Item(f"{given.name}/{path.rpartition('/')[2]}/{number}", texts)


def _texts(values: Mapping[str, Any] | BadRow, columns: Sequence[str]) -> tuple[str, ...]:
    if isinstance(values, BadRow):
        raise values
    return tuple(text for column in columns if (text := column_text(values, column)))
