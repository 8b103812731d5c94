import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from datashop_assets.classifier.export import export, load_report, why_not_native
from datashop_assets.classifier.head import load_head
from datashop_assets.classifier.train import train
from datashop_assets.classifier_settings import ClassifierRecipe
from datashop_assets.encoder_settings import EncoderSettings
from datashop_assets_tests.classifier.lenses import lens

# Runs in a process that cannot import this package: what a stranger does with the folder.
STRANGER = """
import importlib.abc, json, sys

class Refuse(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("datashop_assets", "resources", "datashop_resources"):
            raise ImportError("a stranger does not have " + name)

sys.meta_path.insert(0, Refuse())
folder, texts = sys.argv[1], json.load(open(sys.argv[2]))
import torch
torch.set_num_threads(1)
"""
PIPELINE = """
from sentence_transformers import SentenceTransformer
scores = SentenceTransformer(folder, device="cpu").encode(texts)
assert scores.shape == (len(texts), 1), scores.shape
print(json.dumps(scores[:, 0].tolist()))
"""
NATIVE = """
from transformers import AutoModelForSequenceClassification, AutoTokenizer
folder += "/sequence_classification"
model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
tokenizer = AutoTokenizer.from_pretrained(folder)
with torch.inference_mode():
    batch = tokenizer(texts, truncation=True, padding=True, return_tensors="pt")
    print(json.dumps(model(**batch).logits[:, 0].tolist()))
"""


def stranger(folder: Path, code: str, texts: list[str], tmp_path: Path) -> np.ndarray:
    (tmp_path / "texts.json").write_text(json.dumps(texts))
    run = subprocess.run(
        [sys.executable, "-I", "-W", "ignore", "-c", STRANGER + code, str(folder), str(tmp_path / "texts.json")],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={"HF_HUB_OFFLINE": "1", "HOME": str(tmp_path), "PATH": os.environ["PATH"]},
    )
    assert run.returncode == 0, run.stderr
    return np.array(json.loads(run.stdout.splitlines()[-1]))


@pytest.fixture(scope="module")
def exported(real, embedded, tmp_path_factory):
    def of(pooling: str, normalize: bool):
        encoder, vectors = embedded(pooling, normalize)
        classifier = train(real, vectors, lens(), ClassifierRecipe(bootstrap=100), encoder.id)
        folder = tmp_path_factory.mktemp("model")
        written = export(
            folder, encoder.local_directory(), encoder.settings, classifier.scorer, lens(), classifier.report
        )
        return encoder, vectors, classifier, written

    return of


@pytest.mark.models
@pytest.mark.parametrize(("pooling", "normalize"), [("mean", True), ("cls", False)], ids=["mean, unit", "CLS, raw"])
def test_a_stranger_gets_our_scores_from_the_folder(real, exported, tmp_path, pooling, normalize):
    encoder, vectors, classifier, written = exported(pooling, normalize)
    texts = real["text"].to_list()[::6]
    ours = classifier.scorer.predict(encoder.encode(texts))
    theirs = stranger(written.directory, PIPELINE, texts, tmp_path)
    assert np.abs(theirs - ours).max() < 1e-5
    # What the tables hold was computed from float16 vectors.
    assert np.abs(classifier.scorer.predict(vectors[::6]) - theirs).max() < 1e-3
    if written.native is None:
        assert np.abs(stranger(written.directory, NATIVE, texts, tmp_path) - ours).max() < 1e-5


@pytest.mark.models
def test_the_folder_holds_everything_and_no_pickle(exported):
    _, _, classifier, written = exported("mean", True)
    files = {str(path.relative_to(written.directory)) for path in written.directory.rglob("*") if path.is_file()}
    assert {"modules.json", "model.safetensors", "head.safetensors", "report.json", "README.md"} <= files
    assert not [name for name in files if name.endswith((".bin", ".pt", ".pkl", ".py"))]
    assert np.array_equal(load_head(written.directory).weights, classifier.scorer.weights)
    assert load_report(written.directory) == classifier.report
    card = (written.directory / "README.md").read_text()
    assert classifier.id in card
    assert f"| mae | {classifier.report.figures['mae'].value:.3f} |" in card
    assert "mean pooling cannot be expressed by BertForSequenceClassification" in card


@pytest.mark.parametrize(
    ("family", "settings", "said"),
    [
        ("bert", {"pooling": "cls", "normalize": False}, None),
        ("bert", {"pooling": "mean", "normalize": False}, "mean pooling cannot be expressed"),
        ("bert", {"pooling": "cls", "normalize": True}, "unit length cannot be expressed"),
        ("distilbert", {"pooling": "cls", "normalize": False}, "type 'distilbert'"),
    ],
    ids=["CLS of a BERT", "mean pooling", "normalised", "another family"],
)
def test_where_no_native_model_is_possible_the_reason_is_given(tmp_path, family, settings, said):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": family}))
    reason = why_not_native(tmp_path, EncoderSettings(**settings))
    assert reason is None if said is None else said in str(reason)
