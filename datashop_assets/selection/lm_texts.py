"""Texts as a causal language model reads them: tokens, in padded batches of bounded size.

What belongs here: the order of reading, cutting texts at a bound of tokens, batches, the codes of what cannot be read,
the example texts of tasks. What does not: what is made of a batch (`perplexity.py`, `rds.py`, `lm_gradients.py`),
loading a model (`resources/language_models.py`).
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datashop_assets.selection.pool import Pool, Rows, SelectionError

# Gives a model and its tokenizer, as transformers makes them; called once a ranking.
LanguageModel = Callable[[], tuple[Any, Any]]
Texts = Callable[[Sequence[int]], list[str]]

# Documents tokenised at a time: as many tokens of a thousand-token bound take 8 MB.
CHUNK = 2048
# Padded tokens a batch where no logits are made, for a CPU: see resources/encoders/batches.py.
BATCH_TOKENS = 4096
# Logits are the largest thing that a small model makes: 49,152 float32 a token of SmolLM2, so 1,365 tokens a batch.
LOGITS_BYTES = 2**28
# A document is tokenised from a prefix of this many characters a token, so that a long one costs what its bound costs.
PREFIX_CHARS_PER_TOKEN = 64


class Unreadable(StrEnum):
    """Why a language model says nothing of a document.

    EMPTY_DOCUMENT: nothing but blanks. TOO_SHORT: too few tokens, where one has to be predicted from another.
    NOT_FINITE: what the model made of it is not a number.
    """

    EMPTY_DOCUMENT = "empty_document"
    TOO_SHORT = "too_short"
    NOT_FINITE = "not_finite"


@dataclass(frozen=True, eq=False)
class Batch:
    """Some rows' tokens: `ids` and `real` are torch tensors of shape [rows, longest], `real` false at the padding.

    Padded on the right: attention looks back only, so padding changes nothing of the tokens before it, and needs no
    attention mask.
    """

    rows: Rows
    ids: Any
    real: Any


@dataclass
class TokenBatches:
    """The rows' texts in batches, each text cut at its first `max_tokens` tokens; can be gone through again.

    `texts` gives the texts of rows, `rows` says which and in what order; within CHUNK of them, batches are of similar
    lengths. A batch has at most `batch_tokens` tokens with padding, or one text, and at most `most_rows` rows. Texts
    of fewer than `least` tokens are in no batch; `left_out` counts them by reason as far as the batches were taken.

    Raises SelectionError where the model has no room for `max_tokens`.
    """

    texts: Texts
    rows: Rows
    model: Any
    tokenizer: Any
    max_tokens: int
    batch_tokens: int
    least: int = 1
    most_rows: int = CHUNK
    left_out: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        room = getattr(self.model.config, "max_position_embeddings", None)
        if self.max_tokens < 2 or (room is not None and self.max_tokens > room):
            raise SelectionError(f"max_tokens is {self.max_tokens}; this model takes from 2 to {room or 'any number'}")

    def __iter__(self) -> Iterator[Batch]:
        self.left_out = Counter()
        for start in range(0, len(self.rows), CHUNK):
            rows = self.rows[start : start + CHUNK]
            texts = self.texts([int(row) for row in rows])
            sequences = tokenised(self.tokenizer, texts, self.max_tokens)
            kept = []
            for position, (text, ids) in enumerate(zip(texts, sequences, strict=True)):
                if not text.strip():
                    self.left_out[Unreadable.EMPTY_DOCUMENT.value] += 1
                elif len(ids) < self.least:
                    self.left_out[Unreadable.TOO_SHORT.value] += 1
                else:
                    kept.append(position)
            lengths = [len(sequences[position]) for position in kept]
            for members in batches(lengths, self.batch_tokens, self.most_rows):
                positions = [kept[member] for member in members]
                ids, real = padded([sequences[position] for position in positions], self.model.device)
                yield Batch(rows[positions], ids, real)


def reading_order(pool: Pool) -> Rows:
    """All rows in an order that depends on the documents alone, not on how the pool's rows stand nor on a seed.

    A document's numbers depend in their last digits on what else is in its batch.
    """
    return np.argsort(pool.draws(0)).astype(np.int64)


def tokenised(tokenizer: Any, texts: Sequence[str], max_tokens: int) -> list[NDArray[np.int32]]:
    """The first `max_tokens` tokens of each text, with the special tokens that the tokenizer adds by itself."""

    def ids_of(some: list[str]) -> list[NDArray[np.int32]]:
        found = tokenizer(some, truncation=True, max_length=max_tokens, verbose=False)["input_ids"] if some else []
        return [np.array(ids, np.int32) for ids in found]

    prefix = max_tokens * PREFIX_CHARS_PER_TOKEN
    sequences = ids_of([text[:prefix] for text in texts])
    for number, ids in enumerate(sequences):
        if len(ids) < max_tokens and len(texts[number]) > prefix:  # long runs of blanks are one token
            sequences[number] = ids_of([texts[number]])[0]
    return sequences


def batches(lengths: Sequence[int], most_tokens: int, most_rows: int) -> Iterator[list[int]]:
    """Positions in batches of similar lengths, longest first; positions times longest stays within `most_tokens`."""
    order = sorted(range(len(lengths)), key=lambda position: -lengths[position])
    start = 0
    while start < len(order):
        size = min(most_rows, max(1, most_tokens // max(1, lengths[order[start]])))
        yield order[start : start + size]
        start += size


def padded(sequences: Sequence[NDArray[np.int32]], device: Any) -> tuple[Any, Any]:
    """Sequences as two tensors of shape [sequences, longest]: their ids, padded with 0, and where they are real."""
    import torch

    longest = max(len(ids) for ids in sequences)
    ids = torch.zeros((len(sequences), longest), dtype=torch.long)
    real = torch.zeros((len(sequences), longest), dtype=torch.bool)
    for number, sequence in enumerate(sequences):
        ids[number, : len(sequence)] = torch.from_numpy(sequence)
        real[number, : len(sequence)] = True
    return ids.to(device), real.to(device)


def logits_batch_tokens(model: Any) -> int:
    """How many tokens a batch may have so that its logits take LOGITS_BYTES."""
    return max(1, LOGITS_BYTES // (4 * int(model.config.vocab_size)))


@dataclass(frozen=True, eq=False)
class TaskExamples:
    """The examples of all tasks in one list: `task` is of shape [texts] and points into `names`."""

    names: list[str]
    texts: list[str]
    task: Rows

    def rows(self) -> Rows:
        return np.arange(len(self.texts))

    def of(self, positions: Sequence[int]) -> list[str]:
        return [self.texts[position] for position in positions]

    def refuse(self, left_out: Mapping[str, int]) -> None:
        """Raises SelectionError where some of the examples could not be read."""
        if sum(left_out.values()):
            raise SelectionError(f"of {len(self.texts)} task examples the model cannot use some: {dict(left_out)}")


def task_examples(tasks: Mapping[str, Sequence[str]]) -> TaskExamples:
    """The examples in the tasks' order. Raises SelectionError without tasks, and for a task without examples."""
    bare = [name for name, texts in tasks.items() if not texts or not all(text.strip() for text in texts)]
    if bare or not tasks:
        found = f"tasks without, or with empty examples: {bare}" if bare else "no tasks"
        raise SelectionError(f"{found}; give each task one or more texts that show what is wanted")
    task = [number for number, texts in enumerate(tasks.values()) for _ in texts]
    return TaskExamples(list(tasks), [text for texts in tasks.values() for text in texts], np.array(task, np.int64))
