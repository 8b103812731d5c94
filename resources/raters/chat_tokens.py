"""Messages as a model's tokenizer may see them: whatever a document holds, it is text and never a marker.

What belongs here: making content harmless for tokenizers and for the wire, the spans of tokens. What does not: chat
templates (`chat_transformers.py`; a server applies its own), what a lens says (`datashop_assets/rating/`).
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from datashop_assets.seams import PermanentError

# Half of a character that does not exist alone: no encoding to bytes takes it, so neither tokenizers nor HTTP do.
LONE_SURROGATE = re.compile(r"[\ud800-\udfff]")
REPLACEMENT = "\ufffd"


def encodable(text: str) -> str:
    """The text with U+FFFD for each lone surrogate; as long as before, so that spans hold for both."""
    return LONE_SURROGATE.sub(REPLACEMENT, text)


def marker_pattern(tokenizer: Any) -> re.Pattern[str] | None:
    """Matches the tokenizer's special tokens, such as `<|im_end|>`; None where it has none."""
    special = [token.content for token in tokenizer.added_tokens_decoder.values() if token.special]
    markers = [re.escape(text) for text in sorted(special, key=len, reverse=True) if len(text) > 1]
    return re.compile("|".join(markers)) if markers else None


def as_text(content: str, markers: re.Pattern[str] | None) -> str:
    """The content without lone surrogates and with a space inside every special token that it spells.

    A tokenizer makes one token of `<|im_end|>` wherever it stands, and the model then takes what follows for the next
    turn of the conversation. `< |im_end|>` is read as the characters that it is.
    """
    clean = encodable(content)
    return clean if markers is None else markers.sub(lambda found: f"{found[0][0]} {found[0][1:]}", clean)


def harmless(messages: Sequence[Mapping[str, str]], markers: re.Pattern[str] | None) -> tuple[dict[str, str], ...]:
    """The messages with every content as text."""
    return tuple({"role": message["role"], "content": as_text(message["content"], markers)} for message in messages)


def token_spans(tokenizer: Any, text: str) -> list[tuple[int, int]]:
    """The character span of each token, in order; tokens that share a character have the same span.

    Safe for several threads at once: the fast tokenizer underneath is only read. Raises PermanentError where there is
    none, because others do not know where their tokens stand.
    """
    spans: list[tuple[int, int]] = _fast(tokenizer).encode(encodable(text), add_special_tokens=False).offsets
    return spans


def token_ids(tokenizer: Any, text: str) -> list[int]:
    """The tokens of the text, with markers as such: for a prompt that a chat template has made."""
    ids: list[int] = _fast(tokenizer).encode(text, add_special_tokens=False).ids
    return ids


def level_tokens(tokenizer: Any, levels: Sequence[str]) -> dict[str, list[int]]:
    """The tokens that say each level: all that read as the level when white space around it is left away.

    Whether a model begins its answer with `3` or with ` 3` depends on its tokenizer and chat template; each counts.
    Raises PermanentError naming the levels that are no single token.
    """
    wanted: dict[str, list[int]] = {level: [] for level in levels}
    special = set(tokenizer.added_tokens_decoder)
    ids = [number for number in range(len(tokenizer)) if number not in special]
    for number, text in zip(ids, tokenizer.batch_decode([[number] for number in ids]), strict=True):
        if text.strip() in wanted:
            wanted[text.strip()].append(number)
    if missing := [level for level, tokens in wanted.items() if not tokens]:
        raise PermanentError(
            f"the levels {missing} are no single token of this model, so their probabilities cannot be read from one "
            "position; use mode score_only for this lens, or levels of one character"
        )
    return wanted


def _fast(tokenizer: Any) -> Any:
    if not tokenizer.is_fast:
        raise PermanentError(
            f"the tokenizer {tokenizer.name_or_path!r} has no fast version (tokenizer.json), so its tokens have no "
            "known place in the text; use a model that brings one"
        )
    return tokenizer.backend_tokenizer
