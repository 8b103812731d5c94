"""Where a text may be cut so that the tokens before the cut stay what they are.

What belongs here: which tokenizers split a text so, and finding the last such place. What does not: tokenising
(`tokens.py`).

Most tokenizers first split a text into words and then each word into tokens, so that nothing after a word's end can
change the word's tokens. They differ in what a word is, and agree on this: between a letter and a single space with a
letter after it, a word ends. BERT's also ends at every comma and between two Chinese characters.
"""

import re
import string
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# Splits of the GPT family: in all of their patterns a space before a letter begins a word.
_GPT_SPLIT = r"\s+(?!\S)"
_WORDS = r"[A-Za-z](?= [A-Za-z])"
_CHINESE = r"[\u4e00-\u9fff](?=[\u4e00-\u9fff])"


@dataclass(frozen=True)
class Boundary:
    """Finds the last place in a stretch of text after which it may be cut."""

    pattern: re.Pattern[str]

    def prefix(self, text: str, chars: int) -> str | None:
        """The text where it has no more characters than that; else a prefix of half as many to so many that may stand
        for it, or None where the text has no place to cut there."""
        if len(text) <= chars:
            return text
        # Two characters more are seen than taken: what makes a place safe stands after it.
        found = self.pattern.match(text, chars // 2, chars + 2)
        return None if found is None else text[: found.end()]


def boundary_of(parts: Mapping[str, Any]) -> Boundary | None:
    """Where texts may be cut for a tokenizer (its JSON): None where no place is known to be safe."""
    added = [token["content"] for token in parts.get("added_tokens") or []]
    if not _splits_at_spaces(parts.get("pre_tokenizer")) or any(re.search(r"\s", token) for token in added):
        return None
    places = [_WORDS]
    if parts["pre_tokenizer"]["type"] == "BertPreTokenizer":
        # An added token such as [SEP] is found before words are: a sign that stands in one may be half of it.
        signs = "".join(sorted(set(string.punctuation) - set("".join(added))))
        places.append(rf"[A-Za-z0-9](?=[{re.escape(signs)}])")
        if (parts.get("normalizer") or {}).get("handle_chinese_chars"):
            places.append(_CHINESE)
    # `.*` takes as much as it can: the last place is found first.
    return Boundary(re.compile(rf"(?s:.*)(?:{'|'.join(places)})"))


def _splits_at_spaces(step: Mapping[str, Any] | None) -> bool:
    if step is None:
        return False
    match step["type"]:
        case "Sequence":
            return any(_splits_at_spaces(each) for each in step["pretokenizers"])
        case "BertPreTokenizer" | "Whitespace" | "WhitespaceSplit":
            return True
        case "ByteLevel":
            return bool(step["use_regex"])
        case "Metaspace":
            return bool(step["split"])
        case "Split":
            return _GPT_SPLIT in str(step["pattern"].get("Regex"))
    return False
