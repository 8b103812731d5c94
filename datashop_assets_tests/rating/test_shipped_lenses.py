"""The shipped lenses are complete: exemplars over the whole scale, rubrics that anchor every level."""

import re
from pathlib import Path

import pytest

import datashop_assets
from datashop_assets.rating.contrast import contexts
from datashop_assets.rating.lens import Lens
from datashop_assets.rating.lens_folder import load_lenses

LENSES = load_lenses([Path(datashop_assets.__file__).parent / "lenses"]).lenses


@pytest.mark.parametrize("lens", LENSES.values(), ids=LENSES.keys())
class TestShippedLens:
    def test_calibrate_and_check_exemplars_cover_the_scale(self, lens: Lens) -> None:
        levels = set(range(lens.low, lens.high + 1))
        assert {e.score for e in lens.used_for("calibrate")} == levels
        assert {e.score for e in lens.used_for("check")} == levels

    def test_contrast_exemplars_fill_equal_contexts(self, lens: Lens) -> None:
        dealt = contexts(lens, 2)
        assert len({len(texts) for texts in (*dealt.good, *dealt.bad)}) == 1

    def test_every_level_has_an_anchor_in_the_prompt(self, lens: Lens) -> None:
        prompt = lens.messages("a document")[-1]["content"]
        assert re.findall(r"^(\d+): ", prompt, re.MULTILINE) == [str(n) for n in range(lens.low, lens.high + 1)]

    def test_braces_in_a_document_reach_the_model_as_they_are(self, lens: Lens) -> None:
        document = 'x = f"{value!r} {{ low }} {% raw %}"'
        assert document in lens.messages(document)[-1]["content"]
