"""A YAML file that a person writes, read into settings.

What belongs here: reading and checking the file, and saying which lines are at fault. What does not: what may stand in
it (`project.py`, `resources/pod_settings.py`).
"""

from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError

from datashop_assets.settings import Settings

S = TypeVar("S", bound=Settings)


def read_settings(path: Path, kind: type[S], *, what: str, where: str, holds: str, error: type[Exception]) -> S:
    """The file's settings.

    `what` is the file's name in words, `where` what to do where there is none, `holds` what it should hold. Raises
    `error`, naming the file and every line and field at fault.
    """
    try:
        text = path.read_text(encoding="utf-8")
        content, nodes = yaml.safe_load(text), yaml.compose(text)
    except FileNotFoundError:
        raise error(f"there is no {what} {path}; {where}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as fault:
        raise error(f"{path} is not readable as YAML: {fault}") from fault
    if not isinstance(content, dict):
        raise error(f"{path} must hold a mapping ({holds})")
    try:
        return kind.model_validate(content)
    except ValidationError as faults:
        lines = "\n".join(
            f"  line {_line(nodes, fault['loc'])}: {'.'.join(str(p) for p in fault['loc']) or '(top)'}: {fault['msg']}"
            for fault in faults.errors()
        )
        raise error(f"{path} cannot be used; correct:\n{lines}") from faults


def _line(node: Any, field: tuple[int | str, ...]) -> int:  # yaml's nodes have no public types
    """The line, from 1, of a field in the file, or of the nearest group around one that is missing."""
    line: int = node.start_mark.line + 1
    for part in field:
        if isinstance(node, yaml.MappingNode):
            found = [(key, value) for key, value in node.value if key.value == str(part)]
            if not found:
                break
            (key, node) = found[0]
            line = key.start_mark.line + 1
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int):
            node = node.value[part]
            line = node.start_mark.line + 1
        else:
            break
    return line
