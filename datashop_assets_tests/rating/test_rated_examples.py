"""The best and the worst rated documents beside each other."""

from pathlib import Path

from datashop_assets.rating.rated_examples import best_and_worst
from datashop_assets_tests.rating.rated_lakes import TEXTS, annotate, lake_with_documents, score_lens


def test_the_best_stand_beside_the_worst_and_what_failed_is_on_neither_side(tmp_path: Path) -> None:
    lake, lens = lake_with_documents(tmp_path), score_lens()
    ratings = [
        ("crawl-0", "d1", {"score": 3, "rationale": "clear"}),
        ("crawl-0", "d2", {"score": 1, "rationale": "muddled"}),
        ("crawl-1", "e2", {"reason": "unparsable"}),
        ("books-0", "b1", {"score": 2}),
    ]
    annotate(lake, lens, ratings)
    shown = best_and_worst(lake, lens)
    texts = [TEXTS["crawl-0"]["d1"], TEXTS["books-0"]["b1"], TEXTS["crawl-0"]["d2"]]
    assert shown["best rated"].to_list() == texts
    assert shown["worst rated"].to_list() == texts[::-1]
    assert shown["rationale"].to_list() == ["clear", "", "muddled"]


def test_ratings_without_a_word_of_why_have_no_column_for_it(tmp_path: Path) -> None:
    lake, lens = lake_with_documents(tmp_path), score_lens()
    annotate(lake, lens, [("crawl-0", "d1", {"score": 3})])
    assert best_and_worst(lake, lens).columns == ["score", "best rated", "score ", "worst rated"]


def test_a_lens_that_nothing_is_rated_through_has_no_examples(tmp_path: Path) -> None:
    assert best_and_worst(lake_with_documents(tmp_path), score_lens()).is_empty()
