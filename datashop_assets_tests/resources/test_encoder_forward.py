"""Every way of computing vectors gives those of transformers, and goes on where the memory is too small."""

import json
import random

import numpy as np
import pytest
import torch

from datashop_assets.encoder_settings import EncoderSettings
from datashop_assets_tests.resources.encoder_models import model_folder, small_model
from resources.encoders import TransformerEncoder
from resources.encoders.backends import Way, ways
from resources.encoders.batches import packed_batches, padded_batches
from resources.encoders.calibration import fastest
from resources.encoders.conversions import Conversions
from resources.encoders.figures import work_of
from resources.encoders.memory import in_parts
from resources.encoders.openvino_graph import OpenVinoForward
from resources.encoders.packed import PackedForward
from resources.encoders.padded import PaddedForward
from resources.language_models import ModelReferenceError

DRAWN = random.Random(3)
DOCUMENTS = [[DRAWN.randrange(5, 400) for _ in range(length)] for length in (2, 90, 1, 17, 64, 63)]
TEXTS = ["the red fox", "", "the lazy dog jumps over the red fox " * 20, "漢字 and 12"] * 5


@pytest.mark.models
@pytest.mark.parametrize("kind", ["onednn", "torch"])
@pytest.mark.parametrize("first_only", [True, False], ids=["first token", "mean"])
@pytest.mark.parametrize(
    ("family", "changes"),
    [
        ("bert", {}),
        ("bert", {"hidden_act": "relu"}),
        ("bert", {"hidden_act": "gelu_new"}),
        ("roberta", {}),
        ("xlm-roberta", {}),
    ],
    ids=["BERT", "BERT with ReLU", "BERT with tanh GELU", "RoBERTa", "XLM-RoBERTa"],
)
def test_packed_rows_give_the_vectors_of_transformers(family, changes, first_only, kind):
    model = small_model(family, **changes)
    with torch.inference_mode():
        theirs = torch.cat([PaddedForward(model, first_only, 0)([ids]) for ids in DOCUMENTS])
        ours = PackedForward(model, first_only, kind)(DOCUMENTS)
    assert ours.shape == (len(DOCUMENTS), 32)
    assert (ours - theirs).abs().max() < 1e-5


@pytest.mark.models
def test_an_encoder_of_another_architecture_is_computed_by_transformers(tmp_path):
    folder = model_folder(tmp_path / "small", "modernbert", global_attn_every_n_layers=2, local_attention=16)
    settings = EncoderSettings(model=str(folder), pooling="cls", max_tokens=64, backend="transformers")
    encoder = TransformerEncoder(settings, threads=1)
    assert np.abs(encoder.encode(TEXTS)[:2] - encoder.encode(TEXTS[:2])).max() < 1e-5
    assert encoder.backend == "transformers"
    with pytest.raises(ModelReferenceError, match=r"type 'modernbert'.*encoder\.backend to auto"):
        TransformerEncoder(settings.model_copy(update={"backend": "packed"})).encode(TEXTS)


@pytest.mark.models
def test_threads_and_backends_give_the_same_vectors_in_the_texts_order(tmp_path):
    folder = str(model_folder(tmp_path / "small", "bert"))
    made = [
        TransformerEncoder(EncoderSettings(model=folder, max_tokens=64, backend=backend), threads=threads).encode(TEXTS)
        for backend, threads in (("transformers", 1), ("packed", 1), ("packed", 3))
    ]
    assert np.abs(made[0] - made[1]).max() < 1e-5
    assert np.abs(made[1] - made[2]).max() < 1e-5


@pytest.mark.models
def test_a_batch_that_does_not_fit_is_halved_and_so_are_later_ones(tmp_path, monkeypatch):
    folder = str(model_folder(tmp_path / "small", "bert"))
    settings = EncoderSettings(model=folder, max_tokens=64, backend="packed")
    whole = TransformerEncoder(settings, threads=1).encode(TEXTS)
    sizes = []
    compute = PackedForward.__call__

    def small_memory(self, documents):
        sizes.append(sum(map(len, documents)))
        if sizes[-1] > 200:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 MiB")
        return compute(self, documents)

    encoder = TransformerEncoder(settings, threads=1)
    encoder.encode(TEXTS[:1])
    monkeypatch.setattr(PackedForward, "__call__", small_memory)
    assert np.abs(encoder.encode(TEXTS) - whole).max() < 1e-5
    assert encoder.usage.halved_batches > 0
    budget, sizes[:] = sizes[0], []
    encoder.encode(TEXTS * 20)
    assert max(sizes) <= max(1024, budget // 2)


def test_a_failure_that_is_not_of_memory_is_not_tried_again():
    calls = []

    def broken(documents):
        calls.append(len(documents))
        raise RuntimeError("index out of range")

    with pytest.raises(RuntimeError, match="index out of range"):
        in_parts(broken, [[1], [2]], lambda: None)
    assert calls == [2]


def test_a_document_that_does_not_fit_alone_says_so():
    def full(documents):
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(torch.OutOfMemoryError):
        in_parts(full, [[1], [2], [3]], lambda: None)


@pytest.mark.parametrize("batches", [packed_batches, padded_batches])
def test_batches_hold_every_row_once_within_the_budget(batches):
    lengths = [DRAWN.randrange(1, 120) for _ in range(200)] + [900]
    made = list(batches(lengths, 500))
    assert sorted(row for rows in made for row in rows) == list(range(201))
    assert all(sum(lengths[row] for row in rows) <= 500 for rows in made if rows != [200])


@pytest.mark.models
def test_the_fastest_way_is_measured_once_and_kept_for_other_processes(tmp_path, monkeypatch):
    monkeypatch.setattr("resources.encoders.calibration._measured", {})
    model, settings = small_model("bert"), EncoderSettings(max_tokens=64)
    candidates, kept = ways(settings, model.config, "cpu"), Conversions("a model", tmp_path)
    assert {way.name for way in candidates} == {"transformers", "packed/onednn", "packed/torch", "openvino"}
    chosen = fastest(candidates, model, settings, 0, kept)
    (file,) = (tmp_path / "encoders").glob("*.json")
    record = json.loads(file.read_text())
    assert set(record["seconds"]) == {way.name for way in candidates}
    assert record["fastest"] == chosen.name == min(record["seconds"], key=record["seconds"].get)
    file.write_text(json.dumps({"fastest": "packed/torch"}))
    monkeypatch.setattr("resources.encoders.calibration._measured", {})
    assert fastest(candidates, model, settings, 0, kept) == Way("torch")


@pytest.mark.models
def test_a_way_that_gives_other_vectors_is_never_taken(tmp_path, monkeypatch):
    monkeypatch.setattr("resources.encoders.calibration._measured", {})
    for forward in (PackedForward, OpenVinoForward):
        monkeypatch.setattr(forward, "__call__", lambda self, documents: torch.full((len(documents), 32), np.nan))
    model, settings = small_model("bert"), EncoderSettings(max_tokens=64)
    candidates = ways(settings, model.config, "cpu")
    assert fastest(candidates, model, settings, 0, Conversions("another", tmp_path)) == Way(None)
    (file,) = (tmp_path / "encoders").glob("*.json")
    refused = json.loads(file.read_text())["refused"]
    assert set(refused) == {"packed/onednn", "packed/torch", "openvino"}
    assert "differ" in refused["packed/onednn"]


@pytest.mark.models
def test_usage_counts_documents_tokens_and_the_products_that_were_computed(tmp_path):
    folder = str(model_folder(tmp_path / "small", "bert"))
    encoder = TransformerEncoder(EncoderSettings(model=folder, max_tokens=64), threads=1)
    encoder.encode(TEXTS)
    before = encoder.usage
    encoder.encode(TEXTS[:3])
    done = encoder.usage - before
    assert (before.documents, done.documents) == (20, 3)
    assert done.tokens > 64
    assert done.flops > 2 * 3 * (4 * 32 * 32 + 2 * 32 * 48) * done.tokens
    assert done.documents_per_second > 0
    assert 0 < done.share_of_peak < 1


def test_a_last_layer_reduced_to_the_first_token_counts_less():
    work = work_of(small_model("bert"))
    layer = 4 * 32 * 32 + 2 * 32 * 48
    assert work.flops([10, 20], False) == 2 * 3 * layer * 30 + 4 * 500 * 32 * 3
    assert (
        work.flops([10, 20], True)
        == 2 * (2 * layer + 2 * 32 * 32) * 30 + 2 * (layer - 2 * 32 * 32) * 2 + 4 * (500 * 2 + 30) * 32
    )


@pytest.mark.models
@pytest.mark.parametrize(("precision", "cosine"), [("int8", 0.98), ("bfloat16", 0.999)])
def test_a_reduced_precision_has_an_id_of_its_own_and_vectors_near_the_exact_ones(precision, cosine):
    exact = TransformerEncoder(EncoderSettings(max_tokens=64), threads=1)
    reduced = TransformerEncoder(EncoderSettings(max_tokens=64, precision=precision), threads=1)
    assert reduced.id != exact.id
    if precision == "bfloat16" and not torch.cpu.get_capabilities().get("avx512_bf16"):
        pytest.skip("this processor has no bfloat16 products")
    assert (exact.encode(TEXTS[:4]) * reduced.encode(TEXTS[:4])).sum(1).min() > cosine


@pytest.mark.parametrize(
    "settings", [EncoderSettings(backend="transformers", precision="int8")], ids=["int8 by transformers"]
)
def test_what_no_way_can_compute_is_refused_with_the_mend(settings):
    with pytest.raises(ModelReferenceError, match=r"precision 'int8'.*set encoder\.backend to auto"):
        ways(settings, small_model("bert").config, "cpu")


def test_the_default_settings_keep_their_identity():
    # Tables that stand were made with it.
    assert EncoderSettings().version == "95bbd4c0d339598d"
    assert EncoderSettings(backend="packed").version == EncoderSettings().version
    assert EncoderSettings(precision="int8").version != EncoderSettings().version
