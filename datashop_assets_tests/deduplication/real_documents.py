"""Real texts with known copies: documents of installed packages, and edits of them as the web makes them."""

import importlib.util
import random
import re
from functools import cache
from pathlib import Path

MMLU_FREE = ("sympy", "networkx", "nltk", "sklearn", "scipy", "numpy", "pandas", "matplotlib")


@cache
def real_texts(count: int) -> tuple[str, ...]:
    """So many different docstrings of at least 60 words, of modules of installed packages, in a stable order."""
    found: dict[str, None] = {}
    for package in MMLU_FREE:
        spec = importlib.util.find_spec(package)
        if spec is None or not spec.submodule_search_locations:
            continue
        for file in sorted(Path(spec.submodule_search_locations[0]).rglob("*.py")):
            for text in re.findall(r'"""(.*?)"""', file.read_text(encoding="utf-8", errors="ignore"), re.DOTALL):
                if 60 <= len(text.split()) <= 2000:
                    found.setdefault(text.strip(), None)
            if len(found) >= count:
                return tuple(found)[:count]
    raise LookupError(f"only {len(found)} texts are installed")


def edited(text: str, share: float, seed: int) -> str:
    """The text with a share of its words replaced, one by one, by other words of it; a header and a footer around."""
    chance = random.Random(seed)
    pieces = re.split(r"(\s+)", text)
    places = [at for at, piece in enumerate(pieces) if piece.strip()]
    words = [pieces[at] for at in places]
    for at in chance.sample(places, round(share * len(places))):
        pieces[at] = chance.choice(words)
    return f"Home | Next\n\n{''.join(pieces)}\n\nCopied on day {seed}"


def jaccard(left: str, right: str, n: int) -> float:
    """The exact similarity of two texts' sets of n-grams."""
    from datashop_assets.deduplication.words import ngrams, words_of

    one, other = set(ngrams(words_of(left), n)), set(ngrams(words_of(right), n))
    return len(one & other) / len(one | other)
