import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from datashop_assets.classifier.export import export, load_report, why_not_native
from datashop_assets.classifier.head import load_head
from datashop_assets.classifier.layers import Layer
from datashop_assets.classifier.recipes import TEXT_ENCODER
from datashop_assets.classifier.train import train
from datashop_assets.classifier_settings import ClassifierRecipe
from datashop_assets.encoder_settings import EncoderSettings
from datashop_assets_tests.classifier.lenses import lens
from datashop_assets_tests.classifier.test_train import made_up

# Runs in a process that cannot import this package: what a stranger does with the folder.
STRANGER = """
import importlib.abc, json, sys

class Refuse(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("datashop_assets", "resources", "datashop_resources"):
            raise ImportError("a stranger does not have " + name)

sys.meta_path.insert(0, Refuse())
texts, folders = json.load(open(sys.argv[1])), sys.argv[2:]
import torch
torch.set_num_threads(1)

def scores_of(folder):
"""
PIPELINE = """
    scores = SentenceTransformer(folder, device="cpu").encode(texts)
    assert scores.shape == (len(texts), 1), scores.shape
    return scores[:, 0].tolist()

from sentence_transformers import SentenceTransformer
"""
NATIVE = """
    folder += "/sequence_classification"
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    with torch.inference_mode():
        batch = tokenizer(texts, truncation=True, padding=True, return_tensors="pt")
        return model(**batch).logits[:, 0].tolist()

from transformers import AutoModelForSequenceClassification, AutoTokenizer
"""
ANSWER = """
print(json.dumps([scores_of(folder) for folder in folders]))
"""
CLS = {"pooling": "cls", "normalize": False}
LINEAR = (Layer(np.ones((1, 4), np.float32), np.zeros(1, np.float32)),)


def pooler(width: int, activation: str = "tanh") -> tuple[Layer, Layer]:
    hidden = Layer(np.ones((width, 4), np.float32), np.zeros(width, np.float32), activation)
    return hidden, Layer(np.ones((1, width), np.float32), np.zeros(1, np.float32))


def stranger(folders: list[Path], code: str, texts: list[str], tmp_path: Path) -> np.ndarray:
    """The scores that somebody without our code gets: of shape [folders, texts]."""
    (tmp_path / "texts.json").write_text(json.dumps(texts))
    arguments = [str(tmp_path / "texts.json"), *map(str, folders)]
    run = subprocess.run(
        [sys.executable, "-I", "-W", "ignore", "-c", STRANGER + code + ANSWER, *arguments],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={"HF_HUB_OFFLINE": "1", "HOME": str(tmp_path), "PATH": os.environ["PATH"]},
    )
    assert run.returncode == 0, run.stderr
    return np.array(json.loads(run.stdout.splitlines()[-1]))


@pytest.fixture(scope="module")
def exported(real, embedded, tmp_path_factory):
    def of(pooling: str, normalize: bool, kind: str = "linear"):
        encoder, vectors = embedded(pooling, normalize)
        classifier = train(real, vectors, lens(), ClassifierRecipe(bootstrap=100, model={"kind": kind}), encoder.id)
        folder = tmp_path_factory.mktemp("model")
        written = export(
            folder, encoder.local_directory(), encoder.settings, classifier.scorer, lens(), classifier.report
        )
        return encoder, vectors, classifier, written

    return of


PIPELINES = [("mean", True, "linear"), ("cls", False, "pooler"), ("mean", True, "ordinal"), ("cls", False, "softmax")]


@pytest.mark.models
def test_a_stranger_gets_our_scores_from_sentence_transformers(real, exported, tmp_path):
    made, texts = [exported(*of) for of in PIPELINES], real["text"].to_list()[::12]
    ours = [classifier.scorer.predict(encoder.encode(texts)) for encoder, _, classifier, _ in made]
    theirs = stranger([written.directory for *_, written in made], PIPELINE, texts, tmp_path)
    assert np.abs(theirs - ours).max() < 1e-5
    # What the tables hold was computed from float16 vectors.
    stored = [classifier.scorer.predict(vectors[::12]) for _, vectors, classifier, _ in made]
    assert np.abs(np.array(stored) - theirs).max() < 2e-3


@pytest.mark.models
def test_a_stranger_gets_our_scores_of_raw_cls_states_from_transformers_alone(real, exported, tmp_path):
    made, texts = [exported("cls", False, kind) for kind in ("linear", "pooler")], real["text"].to_list()[::12]
    ours = [classifier.scorer.predict(encoder.encode(texts)) for encoder, _, classifier, _ in made]
    theirs = stranger([written.directory for *_, written in made], NATIVE, texts, tmp_path)
    assert np.abs(theirs - ours).max() < 1e-5


def test_a_classifier_that_reads_texts_keeps_its_own_files(tmp_path):
    class Reader:
        form, reads = "fasttext", "texts"

        def save(self, directory):
            (directory / "scorer.json").write_text("{}")

    frame, vectors = made_up()
    report = train(frame, vectors, lens(), ClassifierRecipe(bootstrap=100), TEXT_ENCODER).report
    export(tmp_path / "model", tmp_path, EncoderSettings(), Reader(), lens(), replace(report, model="fasttext"))
    assert {path.name for path in (tmp_path / "model").iterdir()} == {"scorer.json", "report.json", "README.md"}
    card = (tmp_path / "model" / "README.md").read_text()
    assert "A fasttext model that reads texts itself" in card
    assert "SentenceTransformer" not in card


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
    ("family", "settings", "layers", "said"),
    [
        pytest.param("bert", CLS, LINEAR, None, id="CLS of a BERT"),
        pytest.param("bert", CLS, pooler(4), None, id="a pooler as wide as the encoder"),
        pytest.param("bert", {"pooling": "mean", "normalize": False}, LINEAR, "mean pooling cannot", id="mean pooling"),
        pytest.param("bert", {"pooling": "cls", "normalize": True}, LINEAR, "unit length cannot", id="normalised"),
        pytest.param("bert", CLS | {"windows": "mean"}, LINEAR, "several windows cannot", id="several windows"),
        pytest.param("distilbert", CLS, LINEAR, "type 'distilbert'", id="another family"),
        pytest.param("bert", CLS, pooler(3), "this head's hidden layer 3", id="a narrower pooler"),
        pytest.param("bert", CLS, pooler(4, "softmax"), "this head has softmax", id="another activation"),
    ],
)
def test_where_no_native_model_is_possible_the_reason_is_given(tmp_path, family, settings, layers, said):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": family}))
    reason = why_not_native(tmp_path, EncoderSettings(**settings), layers)
    assert reason is None if said is None else said in str(reason)
