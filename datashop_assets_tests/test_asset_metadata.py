"""What people see: tables that any text survives, figures with their intervals, failures; and what is tried again."""

import dagster as dg
import polars as pl
import pytest

from datashop_assets.asset_metadata import estimates, plain_failures, preview, table, table_metadata
from datashop_assets.cellwork import CellsFailedError
from datashop_assets.classifier.registry import PromotionRefusedError
from datashop_assets.estimate import Estimate
from datashop_assets.markdown import CELL_CHARS
from datashop_assets.project import ProjectError
from datashop_assets.records import SCORES
from resources.lake import CellMismatchError, LakeError, SchemaMismatchError
from resources.object_store import ObjectStoreError, ObjectStoreRefusedError, UnsafeObjectStoreError
from resources.raters.endpoint_errors import RaterEndpointError, RaterRefusedError
from resources.stored_folders import StoredFolderError


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("a | b", id="a pipe"),
        pytest.param("first\nsecond\r\nthird", id="line breaks"),
        pytest.param("<script>alert(1)</script>", id="markup"),
        pytest.param("[link](http://example.org) `code` *bold*", id="markdown"),
        pytest.param("x" * 10_000, id="a long text"),
    ],
)
def test_any_text_stays_in_its_cell(text: str) -> None:
    shown = str(preview(pl.DataFrame({"id": ["1"], "text": [text]}), ["id", "text"]).value)
    lines = shown.splitlines()
    assert len(lines) == 3
    assert lines[2].replace("\\|", "").count("|") == 3
    assert len(lines[2]) < 2 * CELL_CHARS + 20
    assert "<script" not in lines[2].replace("\\<", "")


def test_null_is_told_from_the_word() -> None:
    shown = str(table(pl.DataFrame({"score": [None, 1.0], "word": ["null", None]})).value)
    assert shown.splitlines()[2:] == ["| *null* | null |", "| 1.000 | *null* |"]


def test_no_rows_are_said() -> None:
    assert table(SCORES.empty()).value == "*no rows*"


def test_a_preview_has_at_most_as_many_rows_as_asked() -> None:
    shown = str(preview(pl.DataFrame({"id": list(range(100))}), ["id"], rows=5).value)
    assert len(shown.splitlines()) == 2 + 5


def test_a_figure_is_a_number_to_plot_and_a_row_with_its_interval() -> None:
    shown = estimates({"mae": Estimate(0.5, 0.4, 0.6, 120), "f1": None}, ["f1 is not defined on these 120 rows"])
    assert shown["mae"] == 0.5
    assert "f1" not in shown, "an undefined figure is no number"
    assert "| mae | 0.500 | 0.400 to 0.600 | 120 |" in shown["metrics"].value
    assert "| f1 | not defined" in shown["metrics"].value
    assert shown["metrics"].value.endswith("\n\n- f1 is not defined on these 120 rows"), "notes follow the table"
    assert "\n- " not in estimates({"mae": Estimate(0.5, 0.4, 0.6, 120)}, [])["metrics"].value


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(RaterRefusedError("wrong key"), id="a rater's endpoint refuses"),
        pytest.param(SchemaMismatchError("columns"), id="a table of another schema"),
        pytest.param(CellMismatchError("cells"), id="rows of another cell"),
        pytest.param(ObjectStoreRefusedError("no bucket"), id="an object store refuses"),
        pytest.param(UnsafeObjectStoreError("loses commits"), id="an object store that is not safe"),
        pytest.param(StoredFolderError("other content"), id="a stored model that is another"),
        pytest.param(PromotionRefusedError("failed checks"), id="a classifier that failed its checks"),
        pytest.param(CellsFailedError({}), id="cells that failed"),
        pytest.param(LookupError("materialize it first"), id="something missing upstream"),
        pytest.param(ProjectError("a wrong setting"), id="a wrong setting"),
    ],
)
def test_what_a_person_must_mend_is_not_tried_again(error: Exception) -> None:
    with pytest.raises(dg.Failure) as failure:
        plain_failures(raising)(error)
    assert not failure.value.allow_retries
    assert failure.value.description == str(error)


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(RaterEndpointError("no answer"), id="a rater's endpoint does not answer"),
        pytest.param(LakeError("another writer"), id="a commit in conflict"),
        pytest.param(ObjectStoreError("no answer"), id="an object store does not answer"),
        pytest.param(ConnectionError("reset"), id="a lost connection"),
    ],
)
def test_what_may_pass_is_left_to_the_retry_policy(error: Exception) -> None:
    with pytest.raises(type(error)) as raised:
        plain_failures(raising)(error)
    assert raised.value is error


def raising(error: Exception) -> None:
    raise error


def test_columns_say_their_type_meaning_and_whether_they_may_be_null() -> None:
    columns = {column.name: column for column in table_metadata(SCORES.of("teaching"))["dagster/column_schema"].columns}
    assert set(columns) == set(SCORES.columns)
    assert columns["score"].description == SCORES.notes["score"]
    assert columns["score"].constraints.nullable
    assert not columns["shard"].constraints.nullable
