"""Loading lens folders: every fault is found at once and said with its file, line and reason; good lenses load anyway.

What belongs here: reading a folder's files, and saying where in them a fault lies. What does not: which keys there are
(`lens_header.py`), what a template may do (`templates.py`), rendering (`rendering.py`).
"""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ValidationError

from datashop_assets.rating.judgement import Document
from datashop_assets.rating.lens import (
    Chunking,
    Criterion,
    Exemplar,
    LabelSet,
    Lens,
    LensError,
    Mode,
)
from datashop_assets.rating.lens_header import Exemplars, Header
from datashop_assets.rating.questions import QuestionError
from datashop_assets.rating.rendering import messages, placeholder, plain
from datashop_assets.rating.templates import template_faults

REQUIRED = ("lens.yaml", "system.jinja", "prompt.jinja")
NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
NAME_RULE = "a lens's name has small letters, digits, - and _ only"
# A lens is read at every start of a code location. The largest shipped file has 20 kB.
LARGEST_FILE = 1_000_000
# Of lists and mappings in each other; what a lens says is four deep.
DEEPEST = 20
# libyaml reads the shipped lenses ten times faster; PyYAML has it in its wheels, and not everywhere.
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# Of a number; more is none that a lens has, and Python prints 4,300 digits at most.
MOST_BITS = 64
M = TypeVar("M", bound=BaseModel)


class _Loader(LOADER):  # type: ignore[misc,valid-type]
    """Says where a value stands that cannot be made: a date such as 2024-13-45, a number of thousands of digits."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            value = super().construct_object(node, deep=deep)
            if isinstance(value, int) and value.bit_length() > MOST_BITS:
                raise ValueError("the number is too long")
        except (ValueError, LookupError, AttributeError, TypeError, ArithmeticError) as error:
            said = f"{str(node.value)[:40]!r} cannot be read: {error}"
            raise yaml.constructor.ConstructorError(None, None, said, node.start_mark) from error
        return value


@dataclass(frozen=True)
class LensFault:
    """One fault of a lens folder. `line` counts from 1; None where the whole file is meant."""

    file: Path
    line: int | None
    reason: str

    def __str__(self) -> str:
        return f"{self.file}{f':{self.line}' if self.line else ''}: {self.reason}"


class LensFolderError(LensError):
    """A lens folder that cannot be used; the message has a line for each of its faults."""

    def __init__(self, name: str, faults: Sequence[LensFault]) -> None:
        super().__init__(f"the lens {name!r} cannot be used:\n" + "\n".join(f"  {fault}" for fault in faults))
        self.faults = tuple(faults)


@dataclass(frozen=True)
class Library:
    """What a set of lens libraries holds: the lenses that can be used, and the faults of those that cannot, by name."""

    lenses: Mapping[str, Lens] = field(default_factory=dict)
    faults: Mapping[str, tuple[LensFault, ...]] = field(default_factory=dict)


def load_lenses(libraries: Sequence[Path]) -> Library:
    """Every lens folder in the given libraries; a later library's lens replaces an earlier one's of the same name.

    A bad folder replaces too: its faults are known, and nothing else is used in its stead. Raises LensError where a
    library is not a folder.
    """
    lenses: dict[str, Lens] = {}
    faults: dict[str, tuple[LensFault, ...]] = {}
    for library in libraries:
        if not library.is_dir():
            raise LensError(f"the lens library {library} is not a folder")
        for folder in sorted(p for p in library.iterdir() if p.is_dir() and not p.name.startswith((".", "_"))):
            name = folder.name
            lenses.pop(name, None)
            faults.pop(name, None)
            try:
                lenses[name] = load_lens(folder)
            except LensFolderError as error:
                faults[name] = error.faults
    return Library(lenses, faults)


def load_lens(folder: Path) -> Lens:
    """Read one lens folder. Raises LensFolderError with all of its faults."""
    folder = folder.resolve()
    try:
        return _loaded(folder)
    except OSError as error:
        file = Path(error.filename or folder)
        raise LensFolderError(folder.name, [LensFault(file, None, f"cannot be read: {error.strerror}")]) from error


def _loaded(folder: Path) -> Lens:
    faults: list[LensFault] = []
    if not NAME.fullmatch(folder.name):
        faults.append(LensFault(folder, None, NAME_RULE))
    faults += [
        LensFault(folder / name, None, f"is missing; a lens folder holds {', '.join(REQUIRED)}")
        for name in REQUIRED
        if not (folder / name).is_file()
    ]
    if faults:
        raise LensFolderError(folder.name, faults)
    header = _read(folder / "lens.yaml", Header, faults)
    exemplars = Exemplars()
    if (folder / "exemplars.yaml").is_file():
        exemplars = _read(folder / "exemplars.yaml", Exemplars, faults, header) or exemplars
    sources = dict(_sources(folder, faults))
    if header is not None and not faults:
        shown = any(exemplar.use == "few_shot" for exemplar in exemplars.exemplars)
        found = template_faults(sources, header.input_fields, shown)
        faults += [LensFault(folder / file, line, reason) for file, line, reason in found]
    if header is None or faults:
        raise LensFolderError(folder.name, faults)
    try:
        lens = _lens(folder.name, header, exemplars, sources)
    except QuestionError as error:
        raise LensFolderError(folder.name, [LensFault(folder / "exemplars.yaml", None, str(error))]) from error
    if faults := list(_rendering_faults(lens, folder)):
        raise LensFolderError(folder.name, faults)
    return lens


def _rendering_faults(lens: Lens, folder: Path) -> Iterator[LensFault]:
    """What shows only when something is asked: of a document that marks its place, in every mode that the project file
    may choose, and of the records to be rated."""
    for mode in get_args(Mode):
        try:
            messages(replace(lens, mode=mode), placeholder(lens))
        except QuestionError as error:
            yield LensFault(folder, None, str(error))
            return
    for number, exemplar in enumerate(lens.exemplars, start=1):
        try:
            if exemplar.fields:
                messages(lens, Document(exemplar.text, exemplar.fields))
        except QuestionError as error:
            yield LensFault(folder / "exemplars.yaml", None, f"exemplar {number}: {error}")


def _lens(name: str, header: Header, exemplars: Exemplars, sources: Mapping[str, str]) -> Lens:
    low, high = header.stored
    return Lens(
        name=name,
        title=header.title.strip(),
        description=header.description.strip(),
        low=low,
        high=high,
        positive_at=header.positive_at or 0.0,
        max_chars=header.max_chars,
        min_chars=header.min_chars,
        system=sources["system.jinja"],
        prompt=sources["prompt.jinja"],
        exemplars=tuple(
            Exemplar(_text(part.text, part.fields), part.score, part.use, part.fields) for part in exemplars.exemplars
        ),
        criteria=tuple(
            Criterion(part.name, *part.range, part.description.strip(), tuple(sorted(part.anchors.items())))
            for part in header.criteria
        ),
        compression=tuple(sorted(header.compression.items())),
        label_sets=tuple(
            LabelSet(part.name, tuple(label.strip() for label in part.labels), part.description.strip())
            for part in header.label_sets
        ),
        document_type=header.document_type,
        input_fields=header.input_fields,
        language=header.language,
        mode=header.mode,
        chunking=Chunking(**header.chunking.model_dump()),
        includes=tuple(sorted((k, v) for k, v in sources.items() if k not in ("system.jinja", "prompt.jinja"))),
    )


def _text(text: str | None, fields: Mapping[str, Any]) -> str:
    return text.strip() if text else "\n\n".join(plain(value) for value in fields.values())


def _sources(folder: Path, faults: list[LensFault]) -> Iterator[tuple[str, str]]:
    """Every template of the folder by its path in it. A link that leads out of the folder is a fault."""
    for file in sorted(folder.rglob("*.jinja")):
        if not Path(os.path.realpath(file)).is_relative_to(folder):
            faults.append(LensFault(file, None, "leads out of the lens folder; copy the file into it"))
        elif (text := _content(file, faults)) is not None:
            yield file.relative_to(folder).as_posix(), text


def _content(file: Path, faults: list[LensFault]) -> str | None:
    if not file.is_file():
        faults.append(LensFault(file, None, "cannot be read: it is no file"))
        return None
    try:
        if file.stat().st_size > LARGEST_FILE:
            faults.append(LensFault(file, None, f"has more than {LARGEST_FILE:,} bytes"))
            return None
        content = file.read_bytes()
    except OSError as error:
        faults.append(LensFault(file, None, f"cannot be read: {error.strerror or error}"))
        return None
    try:
        return content.decode("utf-8").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        faults.append(LensFault(file, content[: error.start].count(b"\n") + 1, "is not UTF-8"))
        return None


def _read(file: Path, model: type[M], faults: list[LensFault], header: Header | None = None) -> M | None:
    """A YAML file as the model, or None with its faults added."""
    text = _content(file, faults)
    if text is None:
        return None
    inside = model is Exemplars
    try:
        found = list(_event_faults(text))
        node = None if found else yaml.compose(text, Loader=LOADER)
        found += _twice(node)
        content = None if found else yaml.load(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = min(mark.line, text.rstrip().count("\n")) + 1 if mark else None
        context = f" ({error.context})" if error.context else ""
        faults.append(LensFault(file, line, f"is not YAML: {error.problem}{context}"))
        return None
    except (yaml.YAMLError, ValueError) as error:
        faults.append(LensFault(file, None, f"is not YAML: {error}"))
        return None
    if found:
        faults += [LensFault(file, line, reason) for line, reason in found]
        return None
    wanted = list if inside else dict
    if content is None and inside:
        content = []
    if not isinstance(content, wanted):
        faults.append(LensFault(file, 1, "must be a list of exemplars" if inside else "must be a mapping of keys"))
        return None
    try:
        part = model.model_validate({"exemplars": content} if inside else content)
    except ValidationError as error:
        for fault in error.errors():
            path = fault["loc"][1:] if inside else fault["loc"]
            faults.append(LensFault(file, _line(node, path), f"{_dotted(path)}{_reason(fault)}"))
        return None
    said: Iterator[tuple[tuple[str | int, ...], str]] = iter(())
    if isinstance(part, Header):
        said = part.faults()
    elif isinstance(part, Exemplars) and header is not None:
        said = part.faults(header)
    wrong = [LensFault(file, _line(node, path), reason) for path, reason in said]
    faults += wrong
    return None if wrong else part


def _reason(fault: Any) -> str:
    if fault["type"] == "extra_forbidden":
        return "there is no such key; docs/lenses.md lists them"
    if fault["type"] == "missing":
        return "the key is missing"
    return f"{fault['msg'][0].lower()}{fault['msg'][1:]}, not {fault['input']!r:.80}"


def _dotted(path: Sequence[str | int]) -> str:
    return f"{'.'.join(str(part) for part in path)}: " if path else ""


def _event_faults(text: str) -> Iterator[tuple[int, str]]:
    """Aliases, which can make a small file endless, and nesting, by which libyaml's composer can crash the process."""
    depth = 0
    for event in yaml.parse(text, Loader=LOADER):
        line = event.start_mark.line + 1 if event.start_mark else 1
        if isinstance(event, yaml.AliasEvent):
            yield line, "aliases (&, *) are not used in lens files"
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            yield line, f"is nested more than {DEEPEST} deep"
            return


def _twice(node: yaml.Node | None) -> Iterator[tuple[int, str]]:
    """Keys that stand twice, of which YAML would quietly take the last."""
    if isinstance(node, yaml.MappingNode):
        keys: set[str] = set()
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in keys:
                yield key.start_mark.line + 1, f"the key {key.value!r} stands twice"
            keys.add(str(key.value))
            yield from _twice(value)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            yield from _twice(value)


def _line(node: yaml.Node | None, path: Sequence[str | int]) -> int:
    """The line of the node at the path, or of the innermost one on the way to it that there is."""
    line = node.start_mark.line + 1 if node else 1
    for step in path:
        if isinstance(node, yaml.MappingNode):
            here = next((pair for pair in node.value if pair[0].value == str(step)), None)
            if here is None:
                break
            line, node = here[0].start_mark.line + 1, here[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
            node = node.value[step]
            line = node.start_mark.line + 1
        else:
            break
    return line
