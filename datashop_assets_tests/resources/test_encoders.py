import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from datashop_assets.encoder_settings import EncoderSettings
from resources.encoders import ScriptedEncoder, TransformerEncoder
from resources.language_models import ModelReferenceError

TEXTS = [
    "A generator is a function that yields its values one by one.",
    "",
    "BUY NOW!!! " * 400,
    "Ünïcödé 漢字 and a zero\0byte",
    "x" * 40_000,
    " " * 20_000 + "hello after many blanks",
    "short",
]


@pytest.fixture(scope="module")
def encoder() -> TransformerEncoder:
    return TransformerEncoder(EncoderSettings(), threads=1)


def model_folder(folder: Path, weights: bytes = b"weights") -> Path:
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"model_type": "bert"}))
    (folder / "model.safetensors").write_bytes(weights)
    return folder


def test_texts_that_share_words_are_near_in_the_scripted_encoder():
    good, near, far = ScriptedEncoder(4096).encode(["the red fox", "the red dog", "SELECT one, two FROM three"])
    assert good @ near > 0.6 > 0.2 > good @ far


def test_the_scripted_encoder_gives_unit_vectors_even_without_words():
    assert np.allclose(np.linalg.norm(ScriptedEncoder().encode(["", "a b"]), axis=1), 1)


@pytest.mark.parametrize(
    "other",
    [{"pooling": "cls"}, {"normalize": False}, {"max_tokens": 128}],
    ids=["pooling", "normalisation", "truncation"],
)
def test_every_setting_that_changes_vectors_changes_the_id(tmp_path, other):
    reference = str(model_folder(tmp_path / "MiniBert"))
    ids = {TransformerEncoder(EncoderSettings(model=reference, **changes)).id for changes in ({}, other)}
    assert len(ids) == 2


def test_the_id_follows_the_weights_and_not_their_place(tmp_path):
    here, there = model_folder(tmp_path / "MiniBert"), tmp_path / "elsewhere" / "MiniBert"
    shutil.copytree(here, there)
    changed = model_folder(tmp_path / "changed", b"other weights")
    first, copy, other = (TransformerEncoder(EncoderSettings(model=str(p))).id for p in (here, there, changed))
    assert first == copy
    assert first.startswith("MiniBert-mean-")
    assert first.rpartition("-")[2] != other.rpartition("-")[2]


def test_the_id_is_known_without_loading_torch():
    code = (
        "import sys; from datashop_assets.project import EncoderSettings; from resources.encoders import *; "
        "TransformerEncoder(EncoderSettings()).id; print('torch' in sys.modules, 'transformers' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["False", "False"]


def test_a_folder_that_holds_no_model_is_named(tmp_path):
    with pytest.raises(ModelReferenceError, match=r"no config\.json"):
        TransformerEncoder(EncoderSettings(model=str(tmp_path))).encode(["text"])


@pytest.mark.models
@pytest.mark.parametrize("pooling", ["mean", "cls"])
@pytest.mark.parametrize("normalize", [True, False], ids=["unit length", "raw"])
def test_vectors_agree_with_sentence_transformers(encoder, pooling, normalize):
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Normalize, Transformer
    from sentence_transformers.sentence_transformer.modules import Pooling

    folder = str(encoder.local_directory())
    modules = [Transformer(folder, max_seq_length=64), Pooling(384, pooling), *([Normalize()] if normalize else [])]
    theirs = SentenceTransformer(modules=modules, device="cpu").encode(TEXTS)
    settings = EncoderSettings(pooling=pooling, normalize=normalize, max_tokens=64)
    ours = TransformerEncoder(settings, threads=1).encode(TEXTS)
    assert ours.dtype == np.float32
    assert np.abs(ours - theirs).max() < 1e-5


@pytest.mark.models
def test_a_vector_does_not_depend_on_the_company_of_its_text(encoder):
    together = encoder.encode(TEXTS)
    for row in (0, 1, 2):
        assert np.abs(encoder.encode([TEXTS[row]])[0] - together[row]).max() < 1e-5


@pytest.mark.models
def test_no_texts_give_no_vectors(encoder):
    assert encoder.encode([]).shape == (0, 384)


@pytest.mark.models
def test_more_tokens_than_the_model_has_room_for_are_refused_with_the_limit(encoder):
    with pytest.raises(ModelReferenceError, match="at most 512 tokens"):
        TransformerEncoder(EncoderSettings(max_tokens=1024), threads=1).encode(["text"])
