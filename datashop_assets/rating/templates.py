"""What a lens's templates may do: say text, values, choices and short loops; so that no lens folder is a program.

What belongs here: the sandboxed Jinja environment, and the check of a folder's template sources together. What does
not: which syntax one of them may use (`template_syntax.py`), the values and the finished messages (`rendering.py`),
reading files (`lens_folder.py`).

The sandbox alone lets a template spin or fill the memory (`{{ "x" * 10**9 }}`, loops in loops over the document), some
of it when it is only compiled, as Jinja works out what is constant. So sources are checked before they are compiled:
nothing is called or multiplied, nothing is assigned, filters that lengthen a text do not stand upon themselves, loops
go over the lens's own lists and two deep, and includes are spelt out and do not go in circles. What is rendered is
measured besides (`rendering.py`). And what would fail for some documents and not for others (`document[6]`) is refused.
"""

import posixpath
import re
from collections.abc import Collection, Iterator, Mapping
from functools import lru_cache

from jinja2 import DictLoader, StrictUndefined, TemplateSyntaxError, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from datashop_assets.rating.lens_header import TEMPLATE_VALUES
from datashop_assets.rating.template_syntax import FILTERS, Fault, syntax_faults

ENTRIES = ("system.jinja", "prompt.jinja")
# Of anything in anything. Jinja and Python take a few hundred before they give up, in their own ways.
DEEPEST = 50
# Of one message, includes counted as often as they are included. Longer prompts than this no model reads.
LARGEST_PROMPT = 400_000
# In one message too, so that loops which show nothing come to an end: lenses are loaded at every start.
MOST_LOOPS = 100
BLOCK = re.compile(r"\{%.*?%\}|\{#.*?#\}")


class _Environment(ImmutableSandboxedEnvironment):
    """Includes are found in the lens folder, whether written from its root or from the including file."""

    def join_path(self, template: str, parent: str) -> str:
        return _included(template, parent, self.loader.mapping if isinstance(self.loader, DictLoader) else {})


@lru_cache(maxsize=64)
def environment(sources: tuple[tuple[str, str], ...]) -> ImmutableSandboxedEnvironment:
    """A sandboxed environment that knows these templates (path in the folder, source) and no file at all."""
    made = _Environment(
        loader=DictLoader(dict(sources)),
        undefined=StrictUndefined,
        autoescape=False,
        # A line that holds a block only leaves no line behind, and an included file stands there with all its lines.
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals.clear()
    made.filters = {name: made.filters[name] for name in FILTERS}
    return made


def template_faults(sources: Mapping[str, str], fields: Collection[str], few_shot: bool) -> Iterator[Fault]:
    """What is wrong with a folder's templates: file, line and reason of each fault.

    `fields` are the lens's input fields; `few_shot` says whether it has exemplars to show.
    """
    known = {*TEMPLATE_VALUES, *fields}
    data = {"document", "conversation", *fields}
    if not fields:
        known.discard("conversation")
    parsed: dict[str, nodes.Template] = {}
    made = environment(tuple(sorted(sources.items())))
    for file, source in sources.items():
        try:
            template = made.parse(source, name=file)
            if _depth(template) > DEEPEST:
                raise RecursionError
            parsed[file] = template
        except TemplateSyntaxError as error:
            yield file, error.lineno, error.message or "is not a template"
        except ValueError as error:
            # Of a number: Python reads 4,300 digits at most.
            yield file, None, f"cannot be read: {error}"
        except RecursionError:
            yield file, None, f"is nested more than {DEEPEST} deep"
    if len(parsed) < len(sources):
        return
    wrong = [fault for file, template in parsed.items() for fault in syntax_faults(file, template, known, data)]
    wrong += list(_include_faults(parsed, sources))
    wrong += [fault for file, source in sources.items() for fault in _glued_lines(file, source)]
    if not wrong:
        wrong += _compiling_faults(made, sources)
    yield from wrong
    used = used_names(tuple(sorted(sources.items())))
    if not used & data:
        wanted = "document" if not fields else f"any of {['document', 'conversation', *fields]}"
        yield "prompt.jinja", None, f"never uses {wanted}: the rater would not see what it rates"
    if few_shot and "examples" not in used:
        yield "prompt.jinja", None, "never uses examples, though exemplars.yaml has some for few_shot"
    if not wrong:
        lengths = {file: len(source) for file, source in sources.items()}
        loops = {file: len(list(template.find_all(nodes.For))) for file, template in parsed.items()}
        for own, most, what in ((lengths, LARGEST_PROMPT, "characters"), (loops, MOST_LOOPS, "loops")):
            for entry in ENTRIES:
                if (size := _expanded(entry, parsed, sources, own)) > most:
                    yield entry, None, f"has {size:,} {what} with what it includes; {most:,} are the most"


def _compiling_faults(made: ImmutableSandboxedEnvironment, sources: Mapping[str, str]) -> Iterator[Fault]:
    """What Jinja finds when it compiles, which is not before the syntax is known to be harmless."""
    for file, source in sources.items():
        try:
            made.compile(source, name=file)
        except TemplateSyntaxError as error:
            yield file, error.lineno, error.message or "is not a template"


def _glued_lines(file: str, source: str) -> Iterator[Fault]:
    for number, line in enumerate(source.split("\n")[:-1], start=1):
        if loses_its_break(line):
            yield file, number, "text and a block share this line, and the line break is lost; end it with +%} or -%}"


def loses_its_break(line: str) -> bool:
    """Whether a line of text runs into the next one without a word, as a block takes the line break behind it."""
    blocks = [found for found in BLOCK.finditer(line) if found.end() == len(line)]
    return bool(blocks) and line[-3] not in "+-" and bool(BLOCK.sub("", line).strip())


def _depth(template: nodes.Template) -> int:
    depth = 0
    level: list[nodes.Node] = [template]
    while level:
        depth += 1
        level = [child for node in level for child in node.iter_child_nodes()]
    return depth


def _include_faults(parsed: Mapping[str, nodes.Template], sources: Mapping[str, str]) -> Iterator[Fault]:
    for file, template in parsed.items():
        for node in template.find_all(nodes.Include):
            if not isinstance(node.template, nodes.Const) or not isinstance(node.template.value, str):
                yield file, node.lineno, "an include names its file as a string"
                continue
            target = _included(node.template.value, file, sources)
            if target not in sources:
                yield file, node.lineno, f"includes {node.template.value!r}, and the lens folder has no such template"
            elif file in _reached(target, parsed, sources):
                yield file, node.lineno, f"includes {node.template.value!r}, which includes this file again"


def _included(name: str, parent: str, sources: Mapping[str, str]) -> str:
    """The path in the folder of what `parent` includes: from the folder's root, else from beside the file."""
    beside = posixpath.normpath(posixpath.join(posixpath.dirname(parent), name))
    return name if name in sources else beside


def _targets(file: str, parsed: Mapping[str, nodes.Template], sources: Mapping[str, str]) -> list[str]:
    found = []
    for node in parsed[file].find_all(nodes.Include):
        if isinstance(node.template, nodes.Const) and isinstance(node.template.value, str):
            found.append(_included(node.template.value, file, sources))
    return [target for target in found if target in parsed]


def _reached(file: str, parsed: Mapping[str, nodes.Template], sources: Mapping[str, str]) -> set[str]:
    """The file and everything that it includes, directly or not."""
    reached: set[str] = set()
    open_ends = [file]
    while open_ends:
        here = open_ends.pop()
        if here not in reached:
            reached.add(here)
            open_ends += _targets(here, parsed, sources)
    return reached


def _expanded(
    file: str, parsed: Mapping[str, nodes.Template], sources: Mapping[str, str], own: Mapping[str, int]
) -> int:
    """The sum of the file's own figure and of those of all that it includes, as often as it includes it. The includes
    must not go in circles."""
    sizes: dict[str, int] = {}

    def size(here: str) -> int:
        if here not in sizes:
            sizes[here] = own[here] + sum(size(target) for target in _targets(here, parsed, sources))
        return sizes[here]

    return size(file)


def literals(sources: tuple[tuple[str, str], ...]) -> str:
    """The text that the templates themselves say, without the values: what surrounds a document."""
    made = environment(sources)
    return "\n".join(node.data for _, source in sources for node in made.parse(source).find_all(nodes.TemplateData))


@lru_cache(maxsize=64)
def used_names(sources: tuple[tuple[str, str], ...]) -> frozenset[str]:
    """The names of the values that the templates use."""
    made = environment(sources)
    return frozenset(node.name for _, source in sources for node in made.parse(source).find_all(nodes.Name))
