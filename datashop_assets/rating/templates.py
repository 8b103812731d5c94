"""What a lens's templates may do: say text, values, choices and short loops; so that no lens folder is a program.

What belongs here: the sandboxed Jinja environment, and the check of template sources against an allow-list of syntax.
What does not: the values and the finished messages (`rendering.py`), reading files (`lens_folder.py`).

The sandbox alone lets a template spin or fill the memory (`{{ "x" * 10**9 }}`, loops in loops over the document), some
of it when it is only compiled, as Jinja works out what is constant. So sources are checked before they are compiled:
nothing is called or multiplied, nothing is assigned, filters that lengthen a text do not stand upon themselves, loops
go over the lens's own lists and two deep, and includes are spelt out and do not go in circles. What is rendered is
measured besides (`rendering.py`). And what would fail for some documents and not for others (`document[6]`) is refused.
"""

import posixpath
import re
from collections.abc import Collection, Iterator, Mapping, Set
from functools import lru_cache

from jinja2 import DictLoader, StrictUndefined, TemplateSyntaxError, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from datashop_assets.rating.lens_header import TEMPLATE_VALUES

Fault = tuple[str, int | None, str]
ENTRIES = ("system.jinja", "prompt.jinja")
# What loops may go over; everything else that a template is given is text or a number.
LISTS = ("criteria", "label_sets", "examples")
LISTS_INSIDE = ("anchors", "labels")
LOOPS_DEEP = 2
# Of anything in anything. Jinja and Python take a few hundred before they give up, in their own ways.
DEEPEST = 50
# Of values, operators and constants in one expression, which makes one text before anybody measures it.
WIDEST = 100
# Of one message, includes counted as often as they are included. Longer prompts than this no model reads.
LARGEST_PROMPT = 400_000
# Each with the number of arguments that it takes.
FILTERS = {
    "lower": 0,
    "upper": 0,
    "title": 0,
    "capitalize": 0,
    "trim": 1,
    "length": 0,
    "first": 0,
    "last": 0,
    "join": 2,
    "items": 0,
    "sort": 3,
    "default": 2,
    "round": 2,
    "int": 1,
    "tojson": 0,
}
# A text grows by them: by separators, quotation marks and backslashes.
GROWING = ("join", "sort", "tojson")
MOST_DIGITS = 10  # of `round`: at minus a million Python works out ten to a million
LONGEST_ARGUMENT = 100
# Of a text these exist or not, or divide by its length: for one document they fail, and not for the one that a lens is
# checked with.
FAILING_FILTERS = ("first", "last", "items")
FAILING_TESTS = ("divisibleby",)
BLOCK = re.compile(r"\{%.*?%\}|\{#.*?#\}")
STATEMENTS = (nodes.Template, nodes.Output, nodes.TemplateData, nodes.If, nodes.For, nodes.Include)
EXPRESSIONS = (
    nodes.Name,
    nodes.Const,
    nodes.List,
    nodes.Tuple,
    nodes.Dict,
    nodes.Pair,
    nodes.Keyword,
    nodes.Getattr,
    nodes.Getitem,
    nodes.Slice,
    nodes.Filter,
    nodes.Test,
    nodes.Compare,
    nodes.Operand,
    nodes.And,
    nodes.Or,
    nodes.Not,
    nodes.Add,
    nodes.Sub,
    nodes.Div,
    nodes.FloorDiv,
    nodes.Neg,
    nodes.Pos,
    nodes.Concat,
    nodes.CondExpr,
)


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
    wrong = [fault for file, template in parsed.items() for fault in _syntax_faults(file, template, known, data)]
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
        sizes = {entry: _expanded(entry, parsed, sources) for entry in ENTRIES}
        for entry, size in sizes.items():
            if size > LARGEST_PROMPT:
                yield entry, None, f"has {size:,} characters with what it includes; {LARGEST_PROMPT:,} are the most"


def _compiling_faults(made: ImmutableSandboxedEnvironment, sources: Mapping[str, str]) -> Iterator[Fault]:
    """What Jinja finds when it compiles, which is not before the syntax is known to be harmless."""
    for file, source in sources.items():
        try:
            made.compile(source, name=file)
        except TemplateSyntaxError as error:
            yield file, error.lineno, error.message or "is not a template"


def _syntax_faults(file: str, template: nodes.Template, known: Set[str], data: Set[str]) -> Iterator[Fault]:
    def visit(node: nodes.Node, local: frozenset[str], deep: int) -> Iterator[Fault]:
        if isinstance(node, nodes.For):
            yield from visit(node.iter, local, deep)
            if node.recursive or deep == LOOPS_DEEP:
                yield file, node.lineno, f"loops stand {LOOPS_DEEP} deep at most, and none is recursive"
            if not _is_list(node.iter) or _names(node.iter) & data:
                lists = ", ".join(LISTS)
                yield file, node.lineno, f"a loop goes over {lists} or the lists in them, not over a document or a text"
            named = [node.target] if isinstance(node.target, nodes.Name) else node.target.find_all(nodes.Name)
            targets = {name.name for name in named}
            inside = local | targets | {"loop"}
            for child in (*node.body, *node.else_, *([node.test] if node.test else [])):
                yield from visit(child, inside, deep + 1)
            return
        if not isinstance(node, (*STATEMENTS, *EXPRESSIONS)) and not _calls_items(node):
            yield file, node.lineno, f"{_called(node)} is not used in lens templates; docs/lenses.md says what is"
            return
        if isinstance(node, nodes.Filter):
            for reason in _filter_faults(node, {*LISTS, *local}):
                yield file, node.lineno, reason
        if (what := _failing(node)) and _names(node) & data:
            yield file, node.lineno, f"{what} of a document or a field fails for some documents and not for others"
        if isinstance(node, nodes.Name) and node.name not in known and node.name not in local:
            yield file, node.lineno, f"{node.name!r} is no value that templates have; known are {sorted(known)}"
        for child in node.iter_child_nodes():
            yield from visit(child, local, deep)

    yield from visit(template, frozenset(), 0)
    for node in _within(template):
        for child in node.iter_child_nodes() if not isinstance(node, nodes.Expr) else ():
            if isinstance(child, nodes.Expr) and (size := len(_within(child))) > WIDEST:
                yield file, child.lineno, f"an expression has {size} parts; {WIDEST} are the most"


def _within(node: nodes.Node) -> list[nodes.Node]:
    """The node and everything in it."""
    return [node, *node.find_all(nodes.Node)]


def _names(node: nodes.Node) -> set[str]:
    """The values that an expression uses."""
    return {name.name for name in _within(node) if isinstance(name, nodes.Name)}


def _is_list(node: nodes.Node) -> bool:
    """Whether an expression is a list of the lens, or spelt out; a text can be looped over too, letter by letter."""
    if isinstance(node, nodes.Filter) and node.name in ("items", "sort") and node.node:
        return _is_list(node.node)
    if isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Slice):
        return _is_list(node.node)
    if isinstance(node, nodes.Call) and isinstance(node.node, nodes.Getattr) and _calls_items(node):
        return _is_list(node.node.node)
    if isinstance(node, nodes.Getattr):
        return node.attr in LISTS_INSIDE
    return isinstance(node, nodes.List | nodes.Tuple) or (isinstance(node, nodes.Name) and node.name in LISTS)


def _filter_faults(node: nodes.Filter, lists: Collection[str]) -> Iterator[str]:
    if node.name not in FILTERS:
        yield f"No filter named {node.name!r}; known are {', '.join(FILTERS)}"
        return
    if node.name in ("join", "sort") and _root(node) not in lists:
        yield f"{node.name} is for lists of the lens"
    inner = [within.name for within in _within(node)[1:] if isinstance(within, nodes.Filter)]
    if node.name in GROWING and node.name in inner:
        yield f"{node.name} stands upon {node.name}; once in an expression is the most"
    arguments = [*node.args, *(keyword.value for keyword in node.kwargs)]
    if len(arguments) > FILTERS[node.name] or node.dyn_args or node.dyn_kwargs:
        most = FILTERS[node.name]
        yield f"{node.name} takes {f'{most} arguments at most' if most else 'no arguments'} in lens templates"
    for argument in arguments if node.name != "default" else ():
        value = argument.value if isinstance(argument, nodes.Const) else None
        if not isinstance(argument, nodes.Const):
            yield f"the arguments of {node.name} are spelt out"
        elif isinstance(value, str) and len(value) > LONGEST_ARGUMENT:
            yield f"an argument of {node.name} has {LONGEST_ARGUMENT} characters at most"
        elif node.name == "round" and isinstance(value, int) and value > MOST_DIGITS:
            yield f"round keeps {MOST_DIGITS} digits at most"


def _failing(node: nodes.Node) -> str | None:
    """In words, what of a text may fail: a character that it may lack, or a division by its length."""
    if isinstance(node, nodes.Getitem):
        bounds = node.arg
        if isinstance(bounds, nodes.Slice) and not bounds.step:
            return None
        return "a single character, or every n-th one,"
    if isinstance(node, nodes.Div | nodes.FloorDiv):
        return "a division by something"
    if isinstance(node, nodes.Filter) and node.name in FAILING_FILTERS:
        return f"`{node.name}`"
    if isinstance(node, nodes.Test) and node.name in FAILING_TESTS:
        return f"`{node.name}`"
    return None


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


def _root(node: nodes.Node) -> str | None:
    """The name at the bottom of `criteria[0].anchors|items`."""
    while isinstance(node, nodes.Getattr | nodes.Getitem | nodes.Filter | nodes.Call):
        inner = node.node
        if inner is None:
            return None
        node = inner
    return node.name if isinstance(node, nodes.Name) else None


def _calls_items(node: nodes.Node) -> bool:
    """`anchors.items()`, the one call that reads better than a filter."""
    return (
        isinstance(node, nodes.Call)
        and isinstance(node.node, nodes.Getattr)
        and node.node.attr == "items"
        and not (node.args or node.kwargs or node.dyn_args or node.dyn_kwargs)
    )


def _called(node: nodes.Node) -> str:
    names = {"Mul": "multiplying", "Pow": "raising to a power", "Mod": "%", "Call": "calling", "Assign": "set"}
    return names.get(type(node).__name__, type(node).__name__.lower())


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


def _expanded(file: str, parsed: Mapping[str, nodes.Template], sources: Mapping[str, str]) -> int:
    """Characters of the file with everything that it includes in its place. The includes must not go in circles."""
    sizes: dict[str, int] = {}

    def size(here: str) -> int:
        if here not in sizes:
            sizes[here] = len(sources[here]) + sum(size(target) for target in _targets(here, parsed, sources))
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
