"""Which syntax a lens's templates may use: an allow-list of statements, expressions, filters and what loops go over.

What belongs here: the check of one parsed template. What does not: parsing, includes, sizes (`templates.py`).
"""

from collections.abc import Collection, Iterator, Set

from jinja2 import nodes

Fault = tuple[str, int | None, str]
# What loops may go over; everything else that a template is given is text or a number.
LISTS = ("criteria", "label_sets", "examples")
LISTS_INSIDE = ("anchors", "labels")
LOOPS_DEEP = 2
# Of values, operators and constants in one expression, which makes one text before anybody measures it.
WIDEST = 100
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


def syntax_faults(file: str, template: nodes.Template, known: Set[str], data: Set[str]) -> Iterator[Fault]:
    """What of a parsed template is not on the allow-list: file, line and reason. `known` are the names of all values,
    `data` those of the values that a document fills."""

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
        if isinstance(node, nodes.Include) and deep:
            yield file, node.lineno, "an include stands outside of loops: the file may have loops of its own"
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
