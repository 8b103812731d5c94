"""Writing small lens folders, sound or broken on purpose."""

from pathlib import Path
from textwrap import dedent

SCORE = """\
title: Clarity
description: How clear.
scale: [0, 5]
positive_at: 3
"""
LABEL = """\
title: Topics
description: What it is about.
label_sets:
  - {name: domains, labels: [Health, Customer support]}
"""
PROMPT = "Rate:\n<document>\n{{ document }}\n</document>\n{{ answer_format }}\n"


def write_folder(library: Path, name: str = "clarity", **files: str) -> Path:
    """A lens folder; `files` replace or add files, named with __ for / and _ for the dot before the ending."""
    folder = library / name
    contents = {"lens_yaml": SCORE, "system_jinja": "You judge.", "prompt_jinja": PROMPT} | files
    for key, content in contents.items():
        file = folder / ".".join(key.replace("__", "/").rsplit("_", 1))
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(dedent(content), encoding="utf-8")
    return folder
