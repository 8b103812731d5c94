"""The notebooks of the documentation run, cell by cell, against a small project; and their kept outputs are small."""

import json
from pathlib import Path

import pytest

from datashop_assets_tests.tracing.notebook_cells import run_cells
from datashop_assets_tests.tracing.traced_worlds import Traced, finished_world

NOTEBOOKS = Path(__file__).resolve().parents[2] / "docs" / "notebooks"
WHY = NOTEBOOKS / "why_was_this_kept.ipynb"
MOST_BYTES = 60_000


def test_the_notebook_answers_its_questions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    traced = Traced(finished_world(tmp_path, monkeypatch, shards=2))
    traced.world.land("part-bad", range(100, 140), lines=["{not json"])
    traced.world.register()
    traced.world.run("parse_and_embed_shards")
    traced.ask(cutoff={"keep_fraction": 0.1})
    traced.release()
    monkeypatch.setenv("DATASHOP_PROJECT", str(traced.world.profile.project_file))
    printed = "\n".join(run_cells(WHY))
    for sentence in ("Kept: its score", "Dropped (below_lower)", "invalid_json", "cut-off moved", "keeps"):
        assert sentence in printed


@pytest.mark.parametrize("notebook", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.name)
def test_outputs_are_kept_and_small(notebook: Path) -> None:
    cells = [cell for cell in json.loads(notebook.read_text())["cells"] if cell["cell_type"] == "code"]
    assert all(cell["outputs"] for cell in cells)
    assert notebook.stat().st_size < MOST_BYTES
