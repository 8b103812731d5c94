"""The most confident errors: the largest first, by direction, harmless whatever the text holds."""

import polars as pl

from datashop_assets.classifier.confident_errors import (
    TOO_HIGH,
    TOO_LOW,
    errors_markdown,
    load_errors,
    most_confident_errors,
    save_errors,
)


def rows(errors: list[float]) -> pl.DataFrame:
    return pl.DataFrame(
        {"id": [f"d{n}" for n in range(len(errors))], "label": 2.0, "prediction": [2.0 + error for error in errors]}
    )


def test_the_largest_of_each_direction_come_first() -> None:
    found = most_confident_errors(rows([0.5, -2.0, 0.0, 1.5, -0.1, 0.7]), each=2)
    assert found["id"].to_list() == ["d3", "d5", "d1", "d4"]
    assert found["direction"].to_list() == [TOO_HIGH] * 2 + [TOO_LOW] * 2


def test_right_rows_are_no_errors() -> None:
    assert most_confident_errors(rows([0.0, 0.0])).is_empty()


def shown(rationale: str | None) -> str:
    errors = most_confident_errors(rows([1.0, -1.0]))
    return errors_markdown(
        errors.with_columns(
            source=pl.lit("web"), begins=pl.lit("a | b\n<b>c</b>"), rationale=pl.lit(rationale, pl.String)
        )
    )


def test_the_table_stands_any_text_and_shows_a_rationale_where_there_is_one() -> None:
    text = shown("it explains little")
    assert "it explains little" in text
    assert "a \\| b \\<b\\>c" in text
    assert "rationale" not in shown(None)


def test_no_errors_are_said() -> None:
    empty = most_confident_errors(rows([0.0])).with_columns(
        source=pl.lit("web"), begins=pl.lit("text"), rationale=pl.lit(None, pl.String)
    )
    assert errors_markdown(empty).count("*no rows*") == 2


def test_a_model_from_before_says_that_it_has_none(tmp_path) -> None:
    assert "before this was recorded" in load_errors(tmp_path)
    errors = most_confident_errors(rows([1.0])).with_columns(
        source=pl.lit("web"), begins=pl.lit("text"), rationale=pl.lit(None, pl.String)
    )
    save_errors(tmp_path, errors)
    assert load_errors(tmp_path) == errors_markdown(errors)
