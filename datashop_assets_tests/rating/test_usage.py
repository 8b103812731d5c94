"""What rating costs is counted once, and a budget is kept."""

from collections.abc import Iterable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datashop_assets.project import Price, RatingBudget
from datashop_assets.rating.judgement import Document, Judgement
from datashop_assets.rating.usage import Spending, Usage, duration, progress_line

PRICE = Price(input=2.0, output=10.0)


def judged(**more: object) -> Judgement:
    return Judgement(3.0, **{"input_tokens": 100, "output_tokens": 20, "requests": 1, **more})


def answered_from_cache(chunks: int = 1) -> Judgement:
    return Judgement(3.0, chunks=chunks, cached=chunks)


@pytest.mark.parametrize(
    ("judgement", "wanted"),
    [
        pytest.param(judged(), {"asked": 1, "requests": 1, "retries": 0, "cached": 0}, id="one question"),
        pytest.param(judged(requests=3), {"requests": 3, "retries": 0, "reasked": 2}, id="three answers, one readable"),
        pytest.param(
            judged(requests=6, retries=4),
            {"requests": 6, "retries": 4, "reasked": 1},
            id="two answers, four lost requests",
        ),
        pytest.param(
            judged(requests=2, chunks=3, cached=1),
            {"asked": 1, "requests": 2, "retries": 0, "cached": 0},
            id="three windows, one of them cached",
        ),
        pytest.param(
            answered_from_cache(3), {"asked": 0, "requests": 0, "retries": 0, "cached": 1}, id="all windows cached"
        ),
        pytest.param(
            Judgement(1.0), {"asked": 1, "requests": 0, "retries": 0, "cached": 0}, id="a rater without requests"
        ),
        pytest.param(
            Judgement(None, "endpoint_error", requests=5, retries=4),
            {"asked": 1, "requests": 5, "retries": 4, "reasked": 0, "failed": 1, "skipped": 0},
            id="a failure",
        ),
        pytest.param(
            Judgement(None, "too_short", chunks=0), {"asked": 0, "failed": 0, "skipped": 1}, id="a document too short"
        ),
    ],
)
def test_what_one_judgement_took(judgement: Judgement, wanted: dict[str, int]) -> None:
    usage = Usage.of(judgement, PRICE)
    assert {name: getattr(usage, name) for name in wanted} == wanted


def test_the_cost_is_by_million_tokens_in_and_out() -> None:
    usage = Usage.of(judged(input_tokens=1_000_000, output_tokens=100_000), PRICE)
    assert usage.cost == pytest.approx(2.0 + 1.0)


def take(spending: Spending, count: int, judgements: Iterable[Judgement], in_flight: int = 1) -> int:
    """A rater that holds `in_flight` documents; returns how many it was given."""
    documents = spending.within(Document(str(n)) for n in range(count))
    answers, held, given_ = iter(judgements), 0, 0
    for _ in documents:
        given_ += 1
        held += 1
        if held == in_flight:
            spending.book(next(answers))
            held -= 1
    for _ in range(held):
        spending.book(next(answers))
    assert spending.in_flight == 0
    return given_


def forever(judgement: Judgement) -> Iterator[Judgement]:
    while True:
        yield judgement


@pytest.mark.parametrize(
    ("budget", "given_", "bound"),
    [
        pytest.param({"documents": 7}, 7, "documents", id="documents"),
        pytest.param({"tokens": 500}, 5, "tokens", id="tokens: 120 each"),
        pytest.param({"cost": 0.002}, 5, "cost", id="cost: 0.0004 each"),
        pytest.param({"documents": 9, "tokens": 500}, 5, "tokens", id="the first bound that is reached"),
        pytest.param({"documents": 0}, 0, "documents", id="nothing may be asked"),
        pytest.param({}, 20, None, id="no bound"),
    ],
)
def test_asking_stops_at_the_first_bound(budget: dict[str, float], given_: int, bound: str | None) -> None:
    spending = Spending("served", RatingBudget(**budget), PRICE)
    assert take(spending, 20, forever(judged())) == given_
    assert spending.reached == bound


@given(st.integers(0, 30), st.integers(1, 12), st.integers(0, 40))
def test_more_documents_than_the_bound_are_never_asked_about(bound: int, in_flight: int, count: int) -> None:
    spending = Spending("served", RatingBudget(documents=bound))
    assert take(spending, count, forever(judged()), in_flight) == min(bound, count)


def test_documents_in_flight_at_a_bound_of_tokens_are_finished() -> None:
    spending = Spending("served", RatingBudget(tokens=240))
    assert take(spending, 20, forever(judged()), in_flight=4) == 2 + 3
    assert spending.left() == {"tokens_left": 0}


def test_answers_from_the_cache_leave_the_budget_alone() -> None:
    spending = Spending("served", RatingBudget(documents=2, tokens=10_000, cost=1), PRICE)
    answers = iter([answered_from_cache(), judged(), answered_from_cache(), judged()])
    assert take(spending, 20, answers) == 4
    assert spending.left() == {"documents_left": 0, "tokens_left": 9_760, "cost_left": pytest.approx(0.9992)}


def test_skipped_documents_leave_the_budget_alone() -> None:
    spending = Spending("served", RatingBudget(documents=2))
    answers = iter(
        [Judgement(None, "empty_document", chunks=0), judged(), Judgement(None, "too_short", chunks=0), judged()]
    )
    assert take(spending, 20, answers) == 4


def test_a_later_attempt_begins_where_the_earlier_one_ended() -> None:
    kept: list[Usage] = []
    first = Spending("served", RatingBudget(documents=7), PRICE, remember=kept.append)
    take(first, 5, forever(judged()))
    first.keep()
    second = Spending("served", RatingBudget(documents=7), PRICE, before=kept[-1])
    assert take(second, 5, forever(judged())) == 2
    assert str(second) == "7 of 7 documents, 840 tokens, 0.0028 cost"


def test_a_budget_is_shared_by_all_that_is_asked_of_it() -> None:
    spending = Spending("served", RatingBudget(documents=7))
    assert [take(spending, 5, forever(judged())) for _ in range(3)] == [5, 2, 0]


def test_nothing_is_read_that_may_not_be_asked() -> None:
    read: list[int] = []

    def documents() -> Iterator[Document]:
        for n in range(5):
            read.append(n)
            yield Document(str(n))

    spending = Spending("served", RatingBudget(documents=2))
    assert len(list(spending.within(documents()))) == 2
    assert read == [0, 1]


def test_the_numbers_of_a_cell_that_asked_nothing_have_no_rates() -> None:
    assert not {"cached_share", "documents_per_s"} & set(Usage().facts(0.0))


def test_the_line_of_progress() -> None:
    spending = Spending("served", RatingBudget(cost=5), PRICE)
    used = Usage()
    for judgement in [judged(requests=2), answered_from_cache(), Judgement(None, "refused"), judged()]:
        used += spending.book(judgement)
    line = progress_line(used, 40, 8.0, spending)
    assert line == (
        "4 of 40 rated; 0.50 documents/s; 240 tokens; 25% from the cache; 1 answers asked for again; 1 failed; "
        "run so far: 3 documents, 240 tokens, 0.0008 of 5 cost; 1 min 12 s left"
    )


@pytest.mark.parametrize(("seconds", "text"), [(0.4, "0 s"), (59, "59 s"), (200, "3 min 20 s"), (18_720, "5 h 12 min")])
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text
