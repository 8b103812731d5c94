"""Batches that do not fit the memory.

What belongs here: telling such a failure from others, and halving. What does not: the size that batches begin with
(`backends.py`).
"""

from collections.abc import Callable, Sequence
from typing import Any


def in_parts(
    forward: Callable[[Sequence[Sequence[int]]], Any],
    documents: Sequence[Sequence[int]],
    halved: Callable[[], Any],
) -> list[Any]:
    """The documents' vectors in parts, in order: one part where they fit, else half of them at a time, and so on.

    `halved` is called for every halving. A document that does not fit alone raises what the device said.
    """
    try:
        return [forward(documents)]
    except (MemoryError, RuntimeError) as error:
        if len(documents) == 1 or not out_of_memory(error):
            raise
    # Outside of the handler: its traceback holds on to what the failed attempt has allocated.
    halved()
    middle = len(documents) // 2
    return [*in_parts(forward, documents[:middle], halved), *in_parts(forward, documents[middle:], halved)]


def out_of_memory(error: BaseException) -> bool:
    """Whether the device's memory, or the machine's, was too small."""
    import torch

    # torch has a type of its own for GPUs; of the machine's memory it says this in a RuntimeError.
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in str(error)
