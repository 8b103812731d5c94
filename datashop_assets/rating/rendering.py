"""From a lens and a document to the chat messages that ask a model. A document is data, whatever it holds.

What belongs here: the values that templates get, and what keeps a document inside its place in the prompt. What does
not: what templates may do (`templates.py`), asking (`prompted.py`), reading answers (`answers.py`).

A document is a template *value*, so Jinja never reads it. What it could still do is end its own place in the prompt: by
the lens's closing tag, a heading that the lens uses, or a chat model's control token, which tokenizers read out of
plain text. Each of these is broken up by one space after its first character (`< /document>`). Everything else is shown
as it is, and the same document always gives the same prompt, which the answer cache stands on.
"""

import json
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from jinja2 import Template, TemplateError

from datashop_assets.rating.judgement import Document
from datashop_assets.rating.lens import Criterion, Exemplar, Lens
from datashop_assets.rating.questions import QuestionError
from datashop_assets.rating.templates import LARGEST_PROMPT, environment, literals, used_names

# What UTF-8 cannot say and what C strings end at: shown as the replacement character.
UNSAYABLE = re.compile("[\x00\ud800-\udfff]")
REPLACEMENT = "\ufffd"
# The control tokens of current chat templates: ChatML and its like, Llama 2 and 3, Mistral, Gemma, DeepSeek (with full-
# width bars), reasoning and tool calls. Tags are matched as HTML writes them, in any case and with spaces.
CONTROL = (
    r"<[|｜][^<>|｜\n]{1,64}[|｜]>",
    r"\[/?(?:INST|SYSTEM_PROMPT|TOOL_CALLS|TOOL_RESULTS|AVAILABLE_TOOLS)\]",
    r"<</?SYS>>",
    r"<(?:start|end)_of_turn>",
    r"</?(?:s|bos|eos|pad|unk|think|tool_call|tool_response)>",
)
TAG = re.compile(r"</?\s*([A-Za-z][\w-]{0,63})\s*/?>")
# Where a line begins and ends for a reader, which are more places than where `^` and `$` match; and the other white
# space.
BREAKS = r"\n\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029"
BEGIN, END, SPACE = rf"(?:\A|(?<=[{BREAKS}]))", rf"(?=[{BREAKS}]|\Z)", rf"[^\S{BREAKS}]"
# A line of the lens that is a heading or a rule could be taken for the lens's own when a document has it too.
HEADING = re.compile(rf"{BEGIN}{SPACE}*(#{{1,6}}{SPACE}\S[^{BREAKS}]{{0,200}}|([-=*_~`\"'])\2{{2,80}}){SPACE}*{END}")
ROLE = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,31}")
ROLE_MARKER = re.compile(rf"{BEGIN}(?={SPACE}{{0,8}}#{{1,6}}{SPACE})")
# A prompt holds what its lens says and its document so many times at most.
MOST_SHOWN = 10

# The keys of an answer are the same in every language.
WORDS = {
    "en": {
        "number": "Answer with only the number, an integer from {low} to {high}.",
        "integer": "integer from {low} to {high}",
        "rationale": "Write one or two sentences of rationale first, and then decide.",
        "score": "The score is an integer in the given range.",
        "scores": "The scores are integers in the given range.",
        "labels": "Give every label that fits, written exactly as above, and an empty list where none does.",
        "json": "Answer with one JSON object of this form and nothing else:",
    },
    "es": {
        "number": "Responde solo con el número, un entero de {low} a {high}.",
        "integer": "entero de {low} a {high}",
        "rationale": "Escribe primero una o dos frases de justificación y decide después.",
        "score": "La puntuación es un entero del intervalo dado.",
        "scores": "Las puntuaciones son enteros del intervalo dado.",
        "labels": "Da todas las etiquetas que correspondan, escritas exactamente como arriba, o una lista vacía.",
        "json": "Responde con un solo objeto JSON de esta forma y nada más:",
    },
}


def messages(lens: Lens, document: Document) -> list[dict[str, str]]:
    """The chat messages that ask about this document through the lens: `system`, where it says anything, and `user`.

    Raises QuestionError: with reason `missing_field` or `bad_field` where the document's fields are not what the lens
    needs, with `template_failed` where a template fails on this document although the folder's check passed it, and
    with `too_long` where a message is longer than LARGEST_PROMPT and MOST_SHOWN times the document.
    """
    sources = _sources(lens)
    data = {name: _shown(lens, value) for name, value in _data(lens, document).items()}
    most = LARGEST_PROMPT + MOST_SHOWN * sum(len(value) for value in data.values())
    values = data | _lens_values(lens)
    made = environment(sources)
    rendered = {}
    for role, name in (("system", "system.jinja"), ("user", "prompt.jinja")):
        try:
            rendered[role] = _rendered(made.get_template(name), values, most).strip()
        except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError, AttributeError) as error:
            said = f"lens {lens.name!r}: {name} cannot be rendered: {error}"
            raise QuestionError("template_failed", said) from error
    return [{"role": role, "content": said} for role, said in rendered.items() if said or role == "user"]


def _rendered(template: Template, values: Mapping[str, Any], most: int) -> str:
    """The template's text, measured while it grows."""
    said: list[str] = []
    size = 0
    for piece in template.generate(values):
        said.append(piece)
        size += len(piece)
        if size > most:
            raise QuestionError("too_long", f"{template.name} makes more than {most:,} characters")
    return "".join(said)


def adapts_to_its_mode(lens: Lens) -> bool:
    """Whether the templates leave the form of the answer to the mode."""
    return "answer_format" in used_names(_sources(lens))


def placeholder(lens: Lens) -> Document:
    """A document for the lens that only marks where a document stands."""
    said = "(The document stands here.)"
    talk = [{"role": "user", "content": said}]
    shows_talk = "conversation" in used_names(_sources(lens))
    fields = {name: talk if shows_talk else f"(The field {name} stands here.)" for name in lens.input_fields}
    return Document(said, fields)


def replaced_characters(document: Document) -> int:
    """How many characters of the document a rater sees as U+FFFD: NUL and lone surrogates."""
    values = [document.text, *(plain(value) for value in document.fields.values())]
    return sum(len(UNSAYABLE.findall(value)) for value in values)


def answer_format(lens: Lens) -> str:
    """What the rater is told about the form of its answer, in the lens's language where it is one of WORDS, else in
    English: it follows from the lens and its mode."""
    words = WORDS.get(lens.language.split("-")[0], WORDS["en"])
    if lens.mode == "expected_score":
        return words["number"].format(low=lens.overall.low, high=lens.overall.high)
    reasoned = lens.mode == "rationale_then_score"
    keys = ['"rationale": "..."'] if reasoned else []
    if lens.kind == "label":
        keys += [f'"{labels.name}": ["...", ...]' for labels in lens.label_sets]
        what = words["labels"]
    else:
        keys += [f'"{c.name}": <{words["integer"].format(low=c.low, high=c.high)}>' for c in lens.asked]
        what = words["score"] if len(lens.asked) == 1 else words["scores"]
    said = [words["rationale"]] if reasoned else []
    return f"{' '.join([*said, what, words['json']])}\n{{{', '.join(keys)}}}"


def conversation(record: Sequence[Any]) -> str:
    """Chat messages as text, each below a line `### role`. Raises QuestionError where they are not messages.

    A line of a message that looks like such a marker is indented by a backslash, so that no message makes another.
    """
    said = []
    for message in record:
        if not isinstance(message, Mapping) or not isinstance(message.get("content"), str | None):
            raise QuestionError("bad_field", f"no message with `role` and a text as `content`: {message!r:.200}")
        role = message.get("role")
        if not isinstance(role, str) or not ROLE.fullmatch(role):
            raise QuestionError("bad_field", f"a message's role is a word such as user, not {role!r:.80}")
        content = ROLE_MARKER.sub(r"\\", message.get("content") or "")
        said.append(f"### {role}\n{content}")
    return "\n\n".join(said)


def neutral(text: str, lens: Lens) -> str:
    """The text with everything broken up that could end its place in this lens's prompt, and nothing else changed."""
    said = UNSAYABLE.sub(REPLACEMENT, text)
    return _markers(_sources(lens)).sub(lambda found: _broken(found[0]), said)


def _broken(marker: str) -> str:
    start = len(marker) - len(marker.lstrip())
    return f"{marker[: start + 1]} {marker[start + 1 :]}"


@lru_cache(maxsize=64)
def _markers(sources: tuple[tuple[str, str], ...]) -> re.Pattern[str]:
    """What ends a document's place in these templates' prompts: their tags, headings and rules, and control tokens."""
    own = literals(sources)
    tags = sorted({re.escape(name.casefold()) for name in TAG.findall(own)})
    headings = sorted({re.escape(found[0]) for found in HEADING.findall(own)})
    wanted = [*CONTROL]
    if tags:
        wanted.append(rf"<\s{{0,8}}/?\s{{0,8}}(?:{'|'.join(tags)})(?=[\s/>])")
    if headings:
        wanted.append(rf"{BEGIN}{SPACE}{{0,8}}(?:{'|'.join(headings)}){SPACE}*{END}")
    return re.compile("|".join(wanted), re.IGNORECASE)


def _sources(lens: Lens) -> tuple[tuple[str, str], ...]:
    return tuple(sorted([("system.jinja", lens.system), ("prompt.jinja", lens.prompt), *lens.includes]))


def _data(lens: Lens, document: Document) -> dict[str, str]:
    """What is data: the document, its fields by name, and its message lists one after the other."""
    if missing := [name for name in lens.input_fields if name not in document.fields]:
        raise QuestionError(
            "missing_field", f"lens {lens.name!r} needs the fields {missing}; the record has {sorted(document.fields)}"
        )
    fields = {name: document.fields[name] for name in lens.input_fields}
    talks = [conversation(value) for value in fields.values() if _is_talk(value)]
    if not talks and "conversation" in used_names(_sources(lens)):
        raise QuestionError("bad_field", f"lens {lens.name!r} shows a conversation; no field is a list of messages")
    talk = {"conversation": "\n\n".join(talks)} if lens.input_fields else {}
    return {"document": document.text} | talk | {name: plain(value) for name, value in fields.items()}


def _is_talk(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(message, Mapping) for message in value)


def plain(value: Any) -> str:
    """A field as text: strings as they are, message lists as a conversation, null as nothing, the rest as JSON."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if _is_talk(value):
        return conversation(value)
    return json.dumps(value, ensure_ascii=False, default=str)


def _shown(lens: Lens, value: str) -> str:
    return neutral(lens.view(value), lens)


def _lens_values(lens: Lens) -> dict[str, Any]:
    """What templates get from the lens itself."""
    return {
        "title": lens.title,
        "description": lens.description,
        "low": lens.low,
        "high": lens.high,
        "criteria": [_criterion(criterion) for criterion in lens.asked] if lens.kind == "score" else [],
        "label_sets": [
            {"name": labels.name, "description": labels.description, "labels": labels.labels}
            for labels in lens.label_sets
        ],
        "examples": [_example(lens, exemplar) for exemplar in lens.used_for("few_shot")],
        "wants_rationale": lens.mode == "rationale_then_score",
        "answer_format": answer_format(lens),
    }


def _criterion(criterion: Criterion) -> dict[str, Any]:
    return {
        "name": criterion.name,
        "low": criterion.low,
        "high": criterion.high,
        "description": criterion.description,
        "anchors": dict(criterion.anchors),
    }


def _example(lens: Lens, exemplar: Exemplar) -> dict[str, Any]:
    """A few-shot exemplar: `text`, `score`, and its fields by name."""
    fields = {name: _shown(lens, plain(value)) for name, value in exemplar.fields.items()}
    score = int(exemplar.score) if exemplar.score == int(exemplar.score) else exemplar.score
    return fields | {"text": _shown(lens, exemplar.text), "score": score}
