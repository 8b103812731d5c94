"""Scores from texts: every document once, in order, in bounded batches, and a killed run goes on inside the shard."""

import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from datashop_assets.cellwork import CellsFailedError
from datashop_assets.classifier.recipes import TEXT_ENCODER
from datashop_assets.classifier.registry import ClassifierRecord
from datashop_assets.records import DOCUMENTS, SCORES, Cell
from datashop_assets.scoring import produce
from datashop_assets.scoring.produce import score_cells
from datashop_assets.scoring.texts import score_texts, whole
from datashop_assets_tests.classifier.lenses import lens
from resources.lake import DeltaLake
from resources.staging import FolderProgress

COUNT = 3000


class KilledError(RuntimeError):
    """What a kill is to a test."""


class NumberScorer:
    """The score is the number in the text; it knows what it was shown, and stops after `most` texts."""

    form, reads = "number", "texts"

    def __init__(self, most: int = 10**9) -> None:
        self.most, self.shown, self.largest = most, list[int](), 0

    def predict(self, inputs: Sequence[str]) -> NDArray[np.float32]:
        if len(self.shown) + len(inputs) > self.most:
            raise KilledError
        numbers = [int(text.split()[1]) for text in inputs]
        self.shown += numbers
        self.largest = max(self.largest, sum(map(len, inputs)))
        return np.array([np.nan if "unknown" in text else number for number, text in zip(numbers, inputs, strict=True)])

    def save(self, directory: Path) -> None: ...

    def digest(self) -> str:
        return "number"


def minute_clock() -> Callable[[], float]:
    """A minute passes whenever it is asked, so that every batch is kept."""
    minutes = iter(range(10**6))
    return lambda: 60.0 * next(minutes)


def document(number: int, text: str) -> dict[str, Any]:
    row = {"shard": "s", "id": f"{number:05}", "dataset": "d", "source": "d", "text": text, "text_sha": str(number)}
    return row | {"chars": len(text), "file": f"{number // 1300}.jsonl", "row": number % 1300, "version": "v"}


def lake_of(folder: Path, texts: Sequence[str]) -> DeltaLake:
    """A shard of some files whose documents lie in the table in no order."""
    lake, rows = DeltaLake(str(folder)), [document(number, text) for number, text in enumerate(texts)]
    random.Random(0).shuffle(rows)
    lake.commit(DOCUMENTS, pl.DataFrame(rows, schema=DOCUMENTS.schema), [{"shard": "s", "version": "v"}], {})
    return lake


@pytest.fixture
def lake(tmp_path: Path) -> DeltaLake:
    return lake_of(tmp_path / "lake", [f"document {number}" for number in range(COUNT)])


def test_every_document_has_one_score_in_file_order(lake: DeltaLake, tmp_path: Path) -> None:
    said: list[str] = []
    made = score_texts(NumberScorer(), lake, "s", FolderProgress(tmp_path / "staged"), said.append)
    rows = whole(made)
    assert rows["id"].to_list() == [f"{number:05}" for number in range(COUNT)]
    assert rows["score"].to_list() == list(range(COUNT))
    assert rows.schema == {"id": pl.String, "score": pl.Float32}
    assert made.made == COUNT
    assert said[-1].startswith("s: 3,000 of 3,000 documents scored, ")


def test_a_killed_run_goes_on_where_it_was_and_scores_nothing_twice(lake: DeltaLake, tmp_path: Path) -> None:
    killed, progress = NumberScorer(most=2500), tmp_path / "staged"
    with pytest.raises(KilledError):
        score_texts(killed, lake, "s", FolderProgress(progress), clock=minute_clock())
    rest, said = NumberScorer(), list[str]()
    made = score_texts(rest, lake, "s", FolderProgress(progress), said.append)
    assert whole(made)["score"].to_list() == list(range(COUNT))
    assert killed.shown, "it got somewhere"
    assert sorted(killed.shown + rest.shown) == list(range(COUNT))
    assert said[0] == f"s: {len(killed.shown):,} of 3,000 documents were scored before"


def test_a_batch_is_bounded_by_its_text(tmp_path: Path) -> None:
    lake = lake_of(tmp_path / "lake", [f"document {number} " + "x" * 4_000_000 for number in range(12)])
    scorer = NumberScorer()
    made = score_texts(scorer, lake, "s", FolderProgress(tmp_path / "staged"))
    assert made.height == 12
    assert scorer.largest <= 16_000_000


def test_an_empty_shard_has_no_scores(tmp_path: Path) -> None:
    lake = lake_of(tmp_path / "lake", [])
    made = score_texts(NumberScorer(), lake, "s", FolderProgress(tmp_path / "staged"))
    assert (whole(made).height, made.made) == (0, 0)


class OneModel:
    """In place of the store: what it fetches is the folder itself."""

    def fetch(self, uri: str) -> Path:
        return Path(uri)


def run(lake: DeltaLake, tmp_path: Path, scorer: NumberScorer, cells: Sequence[Cell]) -> list[Any]:
    classifier = ClassifierRecord("teaching", "c1", TEXT_ENCODER, "r", "model", "i", "{}", True, "", None)  # type: ignore[arg-type]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(produce, "load_scorer", lambda folder: scorer)
        return list(
            score_cells(
                lake,
                OneModel(),  # type: ignore[arg-type]
                classifier,
                lens(),
                cells,
                lambda *names: FolderProgress(tmp_path.joinpath("staged", *names)),
                lambda rows: {"documents": rows.height},
                lambda line: None,
                {},
            )
        )


def test_a_text_classifiers_cells_follow_the_documents_and_leave_nothing_staged(
    lake: DeltaLake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("datashop_assets.embedding.shard.SAVE_SECONDS", -1.0)
    cell, scorer = Cell("s", "teaching"), NumberScorer()
    (outcome,) = run(lake, tmp_path, scorer, [cell])
    rows = lake.read(SCORES.of("teaching"))
    assert rows["id"].to_list() == [f"{number:05}" for number in range(COUNT)]
    assert (rows["int_score"].min(), rows["int_score"].max()) == (0, 5)
    assert outcome.facts["documents"] == COUNT
    assert not list(tmp_path.joinpath("staged").rglob("*.parquet"))
    assert run(lake, tmp_path, scorer, [cell])[0].skipped
    newer = lake.read(DOCUMENTS).head(7).with_columns(version=pl.lit("v2"))
    lake.commit(DOCUMENTS, newer, [{"shard": "s", "version": "v2"}], {})
    assert run(lake, tmp_path, scorer, [cell])[0].rows == 7, "other documents want other scores"


def test_a_text_without_a_score_fails_its_shard_and_is_named(tmp_path: Path) -> None:
    lake = lake_of(tmp_path / "lake", ["document 0", "document 1 unknown"])
    with pytest.raises(CellsFailedError, match=r"1 documents have no finite score: \['00001'\]; look at their text"):
        run(lake, tmp_path, NumberScorer(), [Cell("s", "teaching")])
