"""Which documents go through the model together.

What belongs here: batches by a budget of tokens. What does not: what is done with one (`padded.py`, `packed.py`).
"""

from collections.abc import Iterator, Sequence


def padded_batches(lengths: Sequence[int], budget: int) -> Iterator[list[int]]:
    """Rows in batches of nearly equal lengths, longest first; rows times longest stays within the budget of tokens."""
    order = sorted(range(len(lengths)), key=lambda row: -lengths[row])
    start = 0
    while start < len(order):
        size = max(1, budget // max(1, lengths[order[start]]))
        yield order[start : start + size]
        start += size


def packed_batches(lengths: Sequence[int], budget: int) -> Iterator[list[int]]:
    """Rows in batches whose lengths add up to no more than the budget of tokens, longest first; at least a row each.

    Short rows fill what long ones leave (first fit, decreasing), so that batches are nearly of one size.
    """
    order = sorted(range(len(lengths)), key=lambda row: -lengths[row])
    first, last = 0, len(order)
    while first < last:
        rows, room = [order[first]], budget - lengths[order[first]]
        first += 1
        while first < last and lengths[order[first]] <= room:
            rows.append(order[first])
            room -= lengths[order[first]]
            first += 1
        while first < last and lengths[order[last - 1]] <= room:
            last -= 1
            rows.append(order[last])
            room -= lengths[order[last]]
        yield rows
