"""Running a notebook's code cells in order, without a notebook server: what they print is their output.

`python -m datashop_assets_tests.tracing.notebook_cells NOTEBOOK` runs one and keeps its outputs in the file.
"""

import contextlib
import io
import json
import sys
from pathlib import Path
from typing import Any


def code_cells(notebook: Path) -> list[str]:
    """The source of each code cell. Raises ValueError where one is no Python, as a compiler says it."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    sources = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    for number, source in enumerate(sources):
        compile(source, f"{notebook.name} cell {number}", "exec")
    return sources


def run_cells(notebook: Path) -> list[str]:
    """Run the code cells in one namespace; what each printed."""
    space: dict[str, Any] = {"__name__": "__main__"}
    printed = []
    for number, source in enumerate(code_cells(notebook)):
        with contextlib.redirect_stdout(io.StringIO()) as output:
            exec(compile(source, f"{notebook.name} cell {number}", "exec"), space)
        printed.append(output.getvalue())
    return printed


def keep_outputs(notebook: Path) -> None:
    """Run it, and write what the cells printed into the file."""
    content = json.loads(notebook.read_text(encoding="utf-8"))
    printed = run_cells(notebook)
    code = [cell for cell in content["cells"] if cell["cell_type"] == "code"]
    for count, (cell, text) in enumerate(zip(code, printed, strict=True), start=1):
        stream = {"output_type": "stream", "name": "stdout", "text": text.splitlines(keepends=True)}
        cell["execution_count"], cell["outputs"] = count, [stream] if text else []
    notebook.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    keep_outputs(Path(sys.argv[1]))
