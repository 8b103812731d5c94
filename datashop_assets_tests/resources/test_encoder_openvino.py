"""Graphs that OpenVINO compiled give the vectors of transformers, or are not taken."""

import contextlib
import json
import logging
import os
import random
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from datashop_assets.encoder_settings import EncoderSettings
from datashop_assets_tests.resources.encoder_models import model_folder, small_model
from resources.encoders import TransformerEncoder
from resources.encoders.backends import Way, ways
from resources.encoders.calibration import fastest
from resources.encoders.conversions import Conversions
from resources.encoders.openvino_graph import OpenVinoForward
from resources.encoders.padded import PaddedForward
from resources.language_models import ModelReferenceError

ROOT = Path(__file__).resolve().parents[2]
DRAWN = random.Random(3)
DOCUMENTS = [[DRAWN.randrange(5, 400) for _ in range(length)] for length in (1, 90, 2, 17, 128, 1, 63)]
TEXTS = ["the red fox", "", "the lazy dog jumps over the red fox " * 20, "漢字 and 12"] * 5
MODERN = {"global_attn_every_n_layers": 2, "local_attention": 16}


@pytest.mark.models
@pytest.mark.parametrize("first_only", [True, False], ids=["first token", "mean"])
@pytest.mark.parametrize(
    ("family", "changes"),
    [("bert", {}), ("bert", {"hidden_act": "gelu_new"}), ("xlm-roberta", {}), ("modernbert", MODERN), ("mpnet", {})],
    ids=["BERT", "BERT with tanh GELU", "XLM-RoBERTa", "ModernBERT", "MPNet"],
)
def test_a_compiled_graph_gives_the_vectors_of_transformers(family, changes, first_only, tmp_path):
    model = small_model(family, **changes)
    ours = OpenVinoForward(model, first_only, 0, 128, Conversions("small", tmp_path))
    with torch.inference_mode():
        theirs = torch.cat([PaddedForward(model, first_only, 0)([ids]) for ids in DOCUMENTS])
        made = ours(DOCUMENTS)
    assert made.dtype == torch.float32
    assert (made - theirs).abs().max() < 1e-5


@pytest.mark.models
def test_a_document_of_one_token_spoils_no_later_one(tmp_path, monkeypatch):
    # Not even as the first call of all, which it is without this.
    monkeypatch.setattr(OpenVinoForward, "_check", lambda self, *_: None)
    model = small_model("bert")
    ours = OpenVinoForward(model, False, 0, 128, Conversions("small", tmp_path))
    with torch.inference_mode():
        theirs = torch.cat([PaddedForward(model, False, 0)([ids]) for ids in DOCUMENTS])
        assert (ours(DOCUMENTS) - theirs).abs().max() < 1e-5


@pytest.mark.models
def test_a_vector_depends_neither_on_the_documents_beside_it_nor_on_the_thread(tmp_path):
    ours = OpenVinoForward(small_model("bert"), False, 0, 128, Conversions("small", tmp_path), threads=3)
    alone = torch.cat([ours([ids]) for ids in DOCUMENTS])
    with ThreadPoolExecutor(6) as pool:
        # More threads than it was made for wait.
        each = list(pool.map(ours, [DOCUMENTS] * 12))
    assert all((together - alone).abs().max() < 1e-6 for together in each)


@pytest.mark.models
def test_an_encoder_by_openvino_is_the_same_encoder(tmp_path):
    folder = str(model_folder(tmp_path / "small", "bert"))
    settings = EncoderSettings(model=folder, max_tokens=64)
    exact = TransformerEncoder(settings.model_copy(update={"backend": "transformers"}), threads=1)
    ours = TransformerEncoder(settings.model_copy(update={"backend": "openvino"}), threads=2)
    assert np.abs(ours.encode(TEXTS) - exact.encode(TEXTS)).max() < 1e-5
    assert (ours.id, ours.backend) == (exact.id, "openvino")


@pytest.mark.models
def test_a_graph_is_made_once_and_read_by_other_processes(tmp_path, monkeypatch):
    make = partial(OpenVinoForward, small_model("bert"), False, 0, 64, Conversions("small", tmp_path))
    made = make()(DOCUMENTS[1:3])
    monkeypatch.setattr("resources.encoders.openvino_graph._convert", None)
    assert (make()(DOCUMENTS[1:3]) - made).abs().max() < 1e-6


@pytest.mark.models
def test_converting_warns_of_nothing(tmp_path, caplog):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        OpenVinoForward(small_model("bert"), False, 0, 64, Conversions("small", tmp_path))
    assert not caplog.records


@pytest.mark.models
@pytest.mark.parametrize(
    ("family", "changes"),
    [
        pytest.param("bert", {}, id="converted"),
        pytest.param("qwen3", {"num_key_value_heads": 2, "head_dim": 8}, id="refused"),
    ],
)
def test_converting_leaves_the_log_of_others_as_it_is(family, changes, tmp_path):
    root = logging.getLogger()
    before = root.level, list(root.filters), list(root.handlers)
    with contextlib.suppress(ModelReferenceError):
        OpenVinoForward(small_model(family, **changes), False, 0, 64, Conversions("small", tmp_path))
    assert (root.level, root.filters, root.handlers) == before


@pytest.mark.models
def test_a_model_that_cannot_be_converted_is_computed_another_way(tmp_path, monkeypatch):
    monkeypatch.setattr("resources.encoders.calibration._measured", {})
    # OpenVINO has no operator for a part of its attention.
    model = small_model("qwen3", num_key_value_heads=2, head_dim=8)
    settings = EncoderSettings(max_tokens=64)
    kept = Conversions("a decoder", tmp_path)
    assert fastest(ways(settings, model.config, "cpu"), model, settings, 0, kept) == Way(None)
    (file,) = (tmp_path / "encoders").glob("*.json")
    assert "cannot convert a 'qwen3' model" in json.loads(file.read_text())["refused"]["openvino"]
    with pytest.raises(ModelReferenceError, match=r"'qwen3'.*set encoder\.backend to auto"):
        Way("openvino").forward(model, settings, 0, kept)
    assert not list((tmp_path / "encoders").glob("*openvino*mean"))


@pytest.mark.models
def test_a_graph_that_computes_other_vectors_is_refused(tmp_path):
    kept = Conversions("one identity for two models", tmp_path)
    OpenVinoForward(small_model("bert"), False, 0, 64, kept)
    with pytest.raises(ModelReferenceError, match=r"differ from transformers' by"):
        OpenVinoForward(small_model("bert", hidden_act="relu"), False, 0, 64, kept)


def test_without_the_package_it_is_no_way_and_asking_for_it_names_the_extra(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    config = small_model("bert").config
    assert Way("openvino") not in ways(EncoderSettings(), config, "cpu")
    with pytest.raises(ModelReferenceError, match=r"pip install datashop\[openvino\]"):
        ways(EncoderSettings(backend="openvino"), config, "cpu")


@pytest.mark.parametrize(("precision", "device"), [("int8", "cpu"), ("bfloat16", "cpu"), ("float32", "cuda")])
def test_it_computes_float32_on_processors_alone(precision, device):
    config = small_model("bert").config
    with pytest.raises(ModelReferenceError, match="OpenVINO computes float32 on processors"):
        ways(EncoderSettings(backend="openvino", precision=precision), config, device)


@pytest.mark.models
def test_nothing_is_sent_to_its_maker(tmp_path):
    code = (
        "import sys, pathlib\n"
        "from datashop_assets_tests.resources.encoder_models import small_model\n"
        "from resources.encoders.conversions import Conversions\n"
        "from resources.encoders.openvino_graph import OpenVinoForward\n"
        "OpenVinoForward(small_model('bert'), False, 0, 64, Conversions('small', pathlib.Path(sys.argv[1])))\n"
        "assert not [name for name, module in sys.modules.items() if module and 'openvino_telemetry' in name]\n"
    )
    outside = {**os.environ, "HOME": str(tmp_path), "CI": ""}
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, cwd=ROOT, env=outside)
    assert not (tmp_path / "intel").exists()
