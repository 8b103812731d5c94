"""Lens folders out of what others call a rubric: a plain text with a placeholder, or a folder of Classified's format.

What belongs here: reading those, and writing a lens folder that says the same. What does not: the command
(`lenses.py`), an empty lens to fill in (`lens_scaffold.py`).

Classified (github.com/VikParuchuri/classified) keeps a lens in `config.json` (`input_fields`, `type`), `function.json`
(an OpenAI function whose integer properties are the scores, the last required one the overall score), `system.jinja`
and `prompt.jinja`.
"""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from datashop_assets.rating.lens import LensError
from datashop_assets.rating.lens_folder import LensFolderError, load_lens
from datashop_assets.rating.templates import loses_its_break

PLACEHOLDER = "{example}"
# `scale from 0 to 5`, `score it 1-10`, `entre 1 y 5`; and points that are added up from none.
NUMBERS = r"(\d{1,3})\s*(?:-|–|—|to|and|through|a|y|al)\s*(\d{1,3})\b"
SCALE = re.compile(
    r"\b(?:scales?|scor(?:e[sd]?|ing)|rat(?:e[sd]?|ing)|points?|grades?|numbers?|integers?|from|between|escala|"
    r"puntuaci[oó]n|nota|entre|de)\b[^.\n]{0,40}?(?<![\d.-])" + NUMBERS,
    re.IGNORECASE,
)
ADDITIVE = re.compile(r"\badditive\s+(\d{1,2})-point\b|\bsistema aditivo de (\d{1,2}) puntos\b", re.IGNORECASE)
RANGE = re.compile(r"(\d{1,3})\s*(?:-|–|to)\s*(\d{1,3})")
# What Jinja would read as its own.
OPENING = re.compile(r"\{(?=[{%#])")
EXPRESSION = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)
QUOTED = r"\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'"
WINDOWS = {"strategy": "windows", "tokens": 1500, "windows": 2, "aggregate": "mean"}
# Classified's windows lie over the whole document, however long.
WHOLE_DOCUMENT = 1_000_000


def convert_rubric(
    text: str, folder: Path, scale: tuple[int, int] | None = None, positive_at: float | None = None
) -> None:
    """Write the lens folder of a plain rubric with an `{example}` placeholder where the document stands.

    The rubric's own words are kept to the letter, whatever braces are in them; the document gets tags around it where
    it has none, and the form of the answer is asked for below. Without `scale` it is the one range that the rubric
    names.
    Raises LensError where there is no placeholder, or not one range, or the folder would have faults, and
    FileExistsError; then nothing is written.
    """
    if PLACEHOLDER not in text:
        raise LensError(f"the rubric has no {PLACEHOLDER} where the document belongs")
    low, high = scale or scale_in(text)
    parts = [OPENING.sub("{{ '{' }}", part) for part in text.strip().split(PLACEHOLDER)]
    prompt = parts[0]
    for part in parts[1:]:
        fenced = re.search(r"<(\w[\w-]*)>\s*$", prompt)
        enclosed = fenced and re.match(rf"\s*</{re.escape(fenced[1])}>", part)
        prompt += ("{{ document }}" if enclosed else "<document>\n{{ document }}\n</document>") + part
    header = _header(folder, "pretrain") | {
        "scale": [low, high],
        "positive_at": _positive_at(low, high, positive_at),
    }
    _write(folder, header, {"system.jinja": "", "prompt.jinja": f"{prompt}\n\n{{{{ answer_format }}}}\n"})


def scale_in(text: str) -> tuple[int, int]:
    """The one range of scores that a rubric names. Raises LensError where it names none or several."""
    found = {(0, int(many[1] or many[2])) for many in ADDITIVE.finditer(text)}
    found |= {(int(many[1]), int(many[2])) for many in SCALE.finditer(text) if int(many[1]) < int(many[2])}
    if len(found) != 1:
        named = f"several ranges of scores: {sorted(found)}" if found else "no range of scores"
        raise LensError(f"the rubric names {named}; give the scale (--scale LOWEST HIGHEST)")
    return found.pop()


def convert_classified(
    source: Path, folder: Path, scale: tuple[int, int] | None = None, positive_at: float | None = None
) -> list[str]:
    """Write the lens folder of a folder in Classified's format; returns notes on what was decided.

    Every integer property of the function becomes a criterion, those that are not required too. `scale` is for
    properties whose descriptions name no range. Raises LensError where a file is missing or says something else, or
    the folder would have faults, and FileExistsError; then nothing is written.
    """
    config = _json(source / "config.json")
    plural = source / "functions.json"
    function = _json(plural if plural.is_file() else source / "function.json")
    if isinstance(function, list) and len(function) == 1:
        function = function[0]
    try:
        properties, required = function["parameters"]["properties"], function["parameters"]["required"]
        fields, kind = list(config["input_fields"]), config["type"]
    except (KeyError, TypeError) as error:
        raise LensError(
            f"{source} is not in Classified's format: config.json has input_fields and type, function.json a function "
            f"whose parameters have properties and required; wrong or missing: {error}"
        ) from error
    notes: list[str] = []
    criteria = _criteria(properties, required, scale, notes)
    low, high = criteria[-1]["range"]
    document = fields[0] if kind == "pretrain" and len(fields) == 1 else None
    header = _header(folder, kind) | ({} if document else {"input_fields": fields})
    header |= {"criteria": criteria, "positive_at": _positive_at(low, high, positive_at)}
    if document:
        header |= {"max_chars": WHOLE_DOCUMENT, "chunking": WINDOWS}
        notes.append(f"the field {document!r} is `document` here, judged in {WINDOWS['windows']} windows")
    sources = _templates(source)
    names = {name: "document" if name == document else name for name in fields}
    written = {_jinja_name(file): _converted(text, names, set(sources)) for file, text in sources.items()}
    written.setdefault("system.jinja", "")
    if "prompt.jinja" not in written:
        raise LensError(f"{source} has no prompt.jinja")
    written["prompt.jinja"] = written["prompt.jinja"].rstrip() + "\n\n{{ answer_format }}\n"
    _write(folder, header, written)
    return notes


def _criteria(
    properties: Mapping[str, Any], required: list[str], scale: tuple[int, int] | None, notes: list[str]
) -> list[dict[str, Any]]:
    """The criteria in the function's order, the overall one last."""
    scores = [name for name, said in properties.items() if said.get("type") in ("integer", "number", "float")]
    overall = [name for name in scores if name in required][-1:]
    if not overall:
        raise LensError(f"function.json requires no integer property to score by; it has {list(properties)}")
    if optional := [name for name in scores if name not in required]:
        notes.append(f"{optional} are not required by the function; they are criteria here")
    criteria = []
    for name in [*(name for name in scores if name not in overall), *overall]:
        description = str(properties[name].get("description", "")).strip()
        if found := RANGE.search(description):
            low, high = int(found[1]), int(found[2])
        elif scale:
            low, high = scale
        else:
            raise LensError(f"function.json names no range for {name!r}; give the scale (--scale LOWEST HIGHEST)")
        criteria.append({"name": name, "range": [low, high], "description": description})
    return criteria


def _templates(source: Path) -> dict[str, str]:
    """Every template of the folder and what templates may include: text files, whatever their ending."""
    found = {}
    for file in sorted(source.rglob("*")):
        name = file.relative_to(source).as_posix()
        if file.is_file() and not name.startswith(".") and file.suffix != ".json":
            try:
                found[name] = file.read_text(encoding="utf-8")
            except UnicodeDecodeError as error:
                raise LensError(f"{file} is not UTF-8: {error}") from error
    return found


def _jinja_name(file: str) -> str:
    return file if file.endswith(".jinja") else f"{file}.jinja"


def _converted(text: str, names: Mapping[str, str], files: set[str]) -> str:
    """A template with its fields in tags of their own, under our names, and its line breaks as plain Jinja has them."""
    for name, ours in names.items():
        text = _renamed(text, name, ours)
    for file in files:
        if not file.endswith(".jinja"):
            text = re.sub(rf"(\binclude\s+['\"]){re.escape(file)}(?=['\"])", rf"\g<1>{_jinja_name(file)}", text)
    lines = text.split("\n")
    return "\n".join(f"{line[:-2]}+{line[-2:]}" if loses_its_break(line) else line for line in lines)


def _renamed(text: str, name: str, ours: str) -> str:
    word = re.escape(name)
    tagged = f"<{ours}>\n{{{{ {ours} }}}}\n</{ours}>"
    text = re.sub(rf"\{{\{{-?\s*{word}\s*-?\}}\}}", tagged, text)
    # The word is no name within quotes (a file's), behind a point (an attribute's) or a bar (a filter's).
    used = re.compile(rf"(?P<quoted>{QUOTED})|(?<![.|\w]){word}\b", re.DOTALL)
    return EXPRESSION.sub(lambda found: used.sub(lambda part: part["quoted"] or ours, found[0]), text)


def _json(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise LensError(f"{file.parent} is not in Classified's format: it has no {file.name}") from None
    except ValueError as error:
        raise LensError(f"{file} is not JSON: {error}") from error


def _header(folder: Path, kind: str) -> dict[str, Any]:
    title = folder.name.replace("_", " ").replace("-", " ").capitalize()
    header = {"title": title, "description": f"{title}, converted from another format. Say here what it looks for."}
    return header if kind == "pretrain" else header | {"document_type": kind}


def _positive_at(low: int, high: int, given: float | None) -> float | int:
    """The first whole score above the middle, unless one is given."""
    return math.floor((low + high) / 2) + 1 if given is None else given


def _write(folder: Path, header: Mapping[str, Any], templates: Mapping[str, str]) -> None:
    """Write the lens folder, whole or not at all: it is made beside its place and loaded there first."""
    if folder.exists():
        raise FileExistsError(f"there is a {folder} already")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as place:
        made = (Path(place) / folder.name).resolve()
        said = yaml.safe_dump(dict(header), sort_keys=False, allow_unicode=True, width=110)
        for name, text in {"lens.yaml": said, **templates}.items():
            file = made / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        try:
            load_lens(made)
        except LensFolderError as error:
            faults = [replace(fault, file=folder / fault.file.relative_to(made)) for fault in error.faults]
            raise LensFolderError(folder.name, faults) from error
        made.rename(folder)
