"""The reference of the project file, out of the settings themselves: `python -m datashop_assets.project_reference`.

What belongs here: turning the settings' schema into `docs/project-file.md`. What does not: the settings and what they
mean (`project.py`).
"""

import json
from pathlib import Path
from typing import Any

from datashop_assets.project import Project

DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "project-file.md"
INTRODUCTION = """# The project file

Every key of `datashop.yaml`. An unknown key, a wrong type or a value out of its bounds is refused with the key's name.
DATASHOP_PROJECT names the file; relative paths in it are relative to the file. A key without a default must be given.

<!-- Made by `python -m datashop_assets.project_reference` from datashop_assets/project.py; change it there. -->
"""
BOUNDS = {"exclusiveMinimum": ">", "minimum": ">=", "exclusiveMaximum": "<", "maximum": "<=", "pattern": "matches"}


def reference() -> str:
    """The whole document: a table for the file's top, then one for each group of settings in order of appearance."""
    schema = Project.model_json_schema()
    groups: dict[str, Any] = schema["$defs"]
    order, index = list(_groups_in(schema["properties"])), 0
    while index < len(order):
        order = list(dict.fromkeys([*order, *_groups_in(groups[order[index]]["properties"])]))
        index += 1
    sections = [_section("At the top", schema)] + [_section(name, groups[name]) for name in order]
    return "\n".join([INTRODUCTION, *sections])


def _section(title: str, schema: dict[str, Any]) -> str:
    required = schema.get("required", [])
    lines = [f"## {title}", schema["description"], "", "| key | type | default | meaning |", "|---|---|---|---|"]
    for key, field in schema["properties"].items():
        if key in required:
            default = ""
        elif "$ref" in field:
            default = "see there"
        else:
            default = f"`{json.dumps(field.get('default', {}))}`"  # only empty mappings have no default in the schema
        meaning = field.get("description", "").replace("<", "&lt;")
        cells = [cell.replace("|", "\\|") for cell in (f"`{key}`", _type(field), default, meaning)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _type(field: dict[str, Any]) -> str:
    if options := field.get("anyOf") or field.get("oneOf"):
        return " or ".join(_type(option) for option in options)
    if "$ref" in field:
        name = _name(field)
        return f"[{name}](#{name.lower()})"
    if "const" in field:
        return f"`{field['const']}`"
    if "enum" in field:
        return " or ".join(f"`{value}`" for value in field["enum"])
    if "prefixItems" in field:
        return f"list of {' and '.join(_type(item) for item in field['prefixItems'])}"
    if field["type"] == "array":
        return f"list of {_type(field['items'])}" + (", at least one" if field.get("minItems") else "")
    if field["type"] == "object":
        return f"mapping from names to {_type(field['additionalProperties'])}"
    bounds = [
        f"{sign} `{field[key]}`" if key == "pattern" else f"{sign} {field[key]:g}"
        for key, sign in BOUNDS.items()
        if key in field
    ]
    return " ".join([field["type"], ", ".join(bounds)]).strip()


def _name(field: dict[str, Any]) -> str:
    return str(field["$ref"]).rpartition("/")[2]


def _groups_in(node: Any) -> list[str]:
    """The groups that a piece of schema refers to, in order."""
    if isinstance(node, dict):
        inner = [name for value in node.values() for name in _groups_in(value)]
        return ([_name(node)] if "$ref" in node else []) + inner
    return [name for value in node for name in _groups_in(value)] if isinstance(node, list) else []


if __name__ == "__main__":
    DOCUMENT.write_text(reference(), encoding="utf-8")
