"""The documents of `python -m benchmarks.scoring`: real text of this machine, of the lengths that a crawl has.

The demo's sources (`datashop_assets/demo/sources.py`) give pieces of 300 to 2,600 characters. A document is one to four
pieces of one source, so that about a third of the documents fill an encoder of 512 tokens. Deterministic.
"""

import itertools
import random
from collections.abc import Iterator, Sequence
from functools import cache

from datashop_assets.demo.sources import SOURCES

SEED = 2026
SHARES = {"encyclopedia": 4, "language_reference": 2, "python_code": 2, "readme": 3, "license": 1, "minified_js": 1}


@cache
def _pieces() -> dict[str, list[str]]:
    return {name: list(dict.fromkeys(piece.text for piece in SOURCES[name]())) for name in SHARES}


def documents(count: int) -> list[str]:
    """So many documents, mixed; where the machine has fewer, it begins again with other cuts."""
    draw = random.Random(SEED)
    names = draw.choices(list(SHARES), list(SHARES.values()), k=count)
    streams = {name: _endless(pieces) for name, pieces in _pieces().items()}
    return ["\n\n".join(itertools.islice(streams[name], draw.choice((1, 1, 2, 4)))) for name in names]


def pages(count: int, chars: int) -> list[str]:
    """So many texts of exactly so many characters, each of one source."""
    made: list[str] = []
    streams = itertools.cycle([_endless(pieces) for pieces in _pieces().values()])
    for stream in itertools.islice(streams, count):
        text = ""
        while len(text) < chars:
            text += next(stream) + "\n\n"
        made.append(text[:chars])
    return made


def _endless(pieces: Sequence[str]) -> Iterator[str]:
    for turn in itertools.count(1):
        order = list(pieces)
        random.Random(turn).shuffle(order)
        yield from order
