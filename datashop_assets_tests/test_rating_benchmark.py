"""The rating benchmark: what it counts, and that it gives no figure that its n does not support."""

import asyncio

import pytest

from benchmarks.loopback import Slots
from benchmarks.rating import COMPARED, FEWEST_DOCUMENTS, FEWEST_ROUNDS, WAYS, Round, figures
from datashop_assets.rating.judgement import Judgement
from datashop_assets_tests.rating.lens_for_tests import small_lens


def rounds(count: int, documents: int, seconds: float) -> list[Round]:
    return [Round([Judgement(float(row % 6), output_tokens=7) for row in range(documents)], seconds)] * count


def test_rates_and_ratios_need_five_rounds_and_agreement_twenty_documents() -> None:
    enough = {way.name: rounds(FEWEST_ROUNDS, FEWEST_DOCUMENTS, 10.0) for way in WAYS}
    told = figures({**enough, "concurrent": rounds(FEWEST_ROUNDS, FEWEST_DOCUMENTS, 5.0)}, small_lens())
    assert (told["ratings_per_s_sequential"], told["speedup_concurrent_over_sequential"]) == (2.0, 2.0)
    assert told["decoded_tokens_per_rating_sequential"] == 7.0
    assert [told[f"exact_{one}_{other}"] for one, other in COMPARED] == [1.0, 1.0, 1.0]

    few = figures({way.name: rounds(FEWEST_ROUNDS - 1, FEWEST_DOCUMENTS - 1, 10.0) for way in WAYS}, small_lens())
    assert few["ratings_per_s_sequential"] is None
    assert few["speedup_concurrent_over_sequential"] is None
    assert few["within_one_score_only_expected_score"] is None

    assert few["decoded_tokens_per_rating_sequential"] is None
    assert few["failed_share_sequential"] is None


@pytest.mark.parametrize("way", [way.name for way in WAYS])
def test_a_way_that_was_not_measured_has_no_figures(way: str) -> None:
    done = {way.name: rounds(FEWEST_ROUNDS, FEWEST_DOCUMENTS, 10.0) for way in WAYS}
    told = figures({**done, way: []}, small_lens())
    without = {name for name, value in told.items() if value is None}
    assert {f"{figure}_{way}" for figure in ("ratings_per_s", "decoded_tokens_per_rating", "failed_share")} <= without
    assert {name for name in told if name.startswith(("speedup", "exact")) and way in name} <= without


def test_documents_that_failed_in_either_way_do_not_count_as_agreement() -> None:
    done = {way.name: rounds(FEWEST_ROUNDS, FEWEST_DOCUMENTS, 10.0) for way in WAYS}
    failed = [Judgement(None, "no_score_tokens"), *done["sequential"][0].judgements[1:]]
    told = figures({**done, "expected_score": [Round(failed, 1.0)] * FEWEST_ROUNDS}, small_lens())
    assert told["agreement_documents_score_only_expected_score"] == FEWEST_DOCUMENTS - 1
    assert told["exact_score_only_expected_score"] is None
    assert told["failed_share_expected_score"] == pytest.approx(1 / FEWEST_DOCUMENTS)


def test_the_endpoint_never_works_in_more_slots_than_it_has() -> None:
    async def ask() -> dict[str, float]:
        slots = Slots(2, 0.01)
        await asyncio.gather(*(slots.hold() for _ in range(6)))
        return slots.used()

    used = asyncio.run(ask())
    assert (used["questions"], used["most"]) == (6, 2)
    assert 0 < used["share"] <= 1
