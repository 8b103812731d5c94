"""Where the tokens of a served model's tokenizer lie in a text: nothing of the model but its tokenizer is loaded.

What belongs here: finding a tokenizer by reference and asking it for spans. What does not: dividing documents
(`datashop_assets/rating/chunks.py`).
"""

from bisect import bisect_right
from collections.abc import Callable
from typing import Any

from datashop_assets.seams import PermanentError
from resources.language_models import ModelReferenceError, locate
from resources.raters.chat_tokens import encodable, token_spans

Spans = list[tuple[int, int]]
MEND = "set the rater's `tokenizer` to a local path, package:<module>/<file>, a hub name or tiktoken:NAME"


class TokenizerError(PermanentError):
    """A tokenizer that cannot be had; the message names the setting `tokenizer`."""


def token_spans_by(reference: str, *, local_only: bool = False) -> Callable[[str], Spans]:
    """What gives the character span [start, end) of each token of a text, in order, without special tokens.

    `reference` is a model reference (see `resources/language_models.py`) or `tiktoken:NAME`, an encoding or a model of
    OpenAI's. With `local_only` nothing is downloaded. Raises TokenizerError.
    """
    name = reference.removeprefix("tiktoken:")
    return _tiktoken(name) if name != reference else _transformers(reference, local_only)


def _tiktoken(name: str) -> Callable[[str], Spans]:
    try:
        import tiktoken
    except ImportError:
        raise TokenizerError(f"tokenizer tiktoken:{name} needs the package tiktoken: pip install tiktoken") from None
    try:
        known = name in tiktoken.list_encoding_names()
        encoding: Any = tiktoken.get_encoding(name) if known else tiktoken.encoding_for_model(name)
    except (KeyError, ValueError, OSError) as error:
        # Its vocabularies are downloaded at their first use; requests' errors are OSErrors.
        raise TokenizerError(f"tokenizer tiktoken:{name} cannot be loaded ({error}); {MEND}") from error

    def spans(text: str) -> Spans:
        if not text:
            return []
        _, starts = encoding.decode_with_offsets(encoding.encode(encodable(text), disallowed_special=()))
        # Several tokens of one character start at it; each of them ends where the next character starts.
        ends = [*sorted(set(starts)), len(text)]
        return [(start, ends[bisect_right(ends, start)]) for start in starts]

    return spans


def _transformers(reference: str, local_only: bool) -> Callable[[str], Spans]:
    try:
        from transformers import AutoTokenizer
    except ImportError:
        raise TokenizerError(
            f"tokenizer {reference!r} needs the package transformers: pip install 'datashop[train]'"
        ) from None
    try:
        path = locate(reference)
        source, more = reference, {}
        if path is not None and path.suffix == ".gguf":
            source, more = str(path.parent), {"gguf_file": path.name}
        elif path is not None:
            source = str(path)
        tokenizer: Any = AutoTokenizer.from_pretrained(
            source, trust_remote_code=False, local_files_only=local_only, **more
        )
    except (ModelReferenceError, OSError, ValueError) as error:
        raise TokenizerError(f"tokenizer {reference!r} cannot be loaded ({error}); {MEND}") from error
    if not tokenizer.is_fast:
        raise TokenizerError(f"tokenizer {reference!r} does not tell where its tokens lie; {MEND}")

    return lambda text: token_spans(tokenizer, text)
