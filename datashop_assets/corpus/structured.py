"""Instruction and chat records: the fields of a row, in the one form that lenses know.

What belongs here: from a row's columns to fields. What does not: the text made of them (`documents.py`), how a lens
shows them (`rating/rendering.py`).
"""

from collections.abc import Mapping
from typing import Any

from datashop_assets.corpus.readers import BadRow
from datashop_assets.project import Landing

# How ShareGPT's records name the roles, in the words of chat templates.
ROLES = {"human": "user", "gpt": "assistant", "bing": "assistant", "chatgpt": "assistant"}


def record_fields(values: Mapping[str, Any], landing: Landing) -> dict[str, Any] | None:
    """The fields of a structured record by name, messages as `messages`; None where the landing has plain texts.

    A field that is null is null; an empty list of messages, and one with nothing in it, are null too. Raises BadRow.
    """
    if not (landing.fields or landing.messages_column):
        return None
    fields: dict[str, Any] = {}
    for name, column in landing.fields.items():
        fields[name] = column_text(values, column)
    talk = landing.messages_column
    if talk is not None:
        fields["messages"] = _messages(_value(values, talk), talk)
    return fields


def _messages(value: Any, column: str) -> list[dict[str, str]] | None:
    """The messages as {role, content}, also where they are written as {from, value}."""
    if value is None:
        return None
    if not isinstance(value, list):
        raise BadRow("wrong_type", f"{column} holds {type(value).__name__}, not a list of messages")
    messages = []
    for number, message in enumerate(value):
        where = f"{column}[{number}]"
        if not isinstance(message, Mapping):
            raise BadRow("wrong_type", f"{where} holds {type(message).__name__}")
        role = message.get("role") or message.get("from")
        content = storable_text(message.get("content", message.get("value")), where)
        if not isinstance(role, str) or content is None:
            raise BadRow("wrong_type", f"{where} has no role or no content: {sorted(message)}")
        messages.append({"role": ROLES.get(role, role), "content": content})
    return messages or None


def column_text(values: Mapping[str, Any], column: str) -> str | None:
    """The text in a row's column, sure to be storable; None for null. Raises BadRow."""
    return storable_text(_value(values, column), column)


def _value(values: Mapping[str, Any], column: str) -> Any:
    if column not in values:
        raise BadRow("missing_column", f"{column}; the row has {sorted(values)}")
    return values[column]


def storable_text(value: Any, where: str) -> str | None:
    """A value as text that tables can store; None for null. Raises BadRow; `where` names it."""
    if value is None:
        return None
    if not isinstance(value, str | bytes):
        raise BadRow("wrong_type", f"{where} holds {type(value).__name__}")
    try:
        text = value.decode("utf-8") if isinstance(value, bytes) else value
        text.encode("utf-8")  # JSON can spell half of a surrogate pair, which no table can store
    except UnicodeError as error:
        raise BadRow("not_utf8", f"{where}: {error}") from error
    if "\0" in text:
        raise BadRow("nul_character", f"{where} at character {text.index(chr(0))}")
    return text
