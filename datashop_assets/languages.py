"""Which language a text is in.

What belongs here: asking the library that knows. What does not: who wants to know (quality reports, attributes).
"""

from collections.abc import Iterable
from functools import cache
from importlib.util import find_spec
from typing import Any

# A language is told from so many characters, and not at all below this probability: generated and minified code gets
# some language at 0.01 to 0.6, prose of two sentences its own at 0.99 (1,600 real documents).
READ_CHARS, LEAST_PROBABILITY = 2000, 0.7
UNKNOWN = "unknown"
INSTALL = "pip install 'datashop[languages]'"


def can_tell() -> bool:
    """Is py3langid installed? It carries its model, asks no network, and reads some 2,000 documents a second."""
    return find_spec("py3langid") is not None


def language(text: str) -> str:
    """The ISO 639 code of the text's language, or `unknown` where there is too little of one.

    Naive Bayes over byte n-grams (Lui and Baldwin 2012, langid.py). Raises ImportError where py3langid is missing.
    """
    code, probability = _identifier().classify(text[:READ_CHARS])
    return str(code) if probability >= LEAST_PROBABILITY and code != "zxx" else UNKNOWN  # zxx: no linguistic content


def languages(texts: Iterable[str]) -> list[str]:
    """`language` of each text, in order."""
    return [language(text) for text in texts]


@cache
def _identifier() -> Any:
    try:
        from py3langid.langid import MODEL_FILE, LanguageIdentifier
    except ImportError as error:
        raise ImportError(f"telling languages needs py3langid: {INSTALL}") from error
    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
