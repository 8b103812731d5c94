"""Models that come from elsewhere run no code of theirs: safetensors only, and nothing that a folder brings along."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from datashop_assets.encoder_settings import EncoderSettings
from datashop_assets_tests.filtering.tokenizers_for_tests import save_as_model
from datashop_assets_tests.test_house import MODULES, name
from resources.encoders import TransformerEncoder
from resources.language_models import ModelReferenceError, load_causal_lm

SAFE = "_SAFE"  # `classifier/export.py`: both settings at once
LLAMA = """{
  "model_type": "llama", "architectures": ["LlamaModel"], "hidden_size": 8, "intermediate_size": 8,
  "num_hidden_layers": 1, "num_attention_heads": 1, "num_key_value_heads": 1, "vocab_size": 300
}"""


def loads(path: Path) -> Iterator[tuple[str, dict[str | None, str]]]:
    """The class and the keywords of every `from_pretrained` in a module."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(".from_pretrained"):
            yield ast.unparse(node.func), {each.arg: ast.unparse(each.value) for each in node.keywords}


LOADING = [path for path in MODULES if ".from_pretrained(" in path.read_text(encoding="utf-8")]


@pytest.mark.parametrize("path", LOADING, ids=name)
def test_nothing_is_loaded_that_could_run_code(path: Path) -> None:
    for function, asked in loads(path):
        if asked.get(None) == SAFE:
            continue
        assert asked.get("trust_remote_code") == "False", f"{name(path)}: {function}"
        if function.startswith("AutoModel"):
            assert asked.get("use_safetensors") == "True" or "gguf_file" in asked, f"{name(path)}: {function}"


def test_nothing_is_unpickled() -> None:
    for path in MODULES:
        text = path.read_text(encoding="utf-8")
        assert not any(f"{call}(" in text for call in ("torch.load", "pickle.load", "pickle.loads", "joblib.load"))


@pytest.fixture
def pickled(tmp_path: Path) -> str:
    """A model folder whose weights are a pickle."""
    folder = tmp_path / "model"
    save_as_model(folder)
    (folder / "config.json").write_text(LLAMA)
    (folder / "pytorch_model.bin").write_bytes(b"a pickle")
    return str(folder)


@pytest.mark.models
def test_a_folder_with_pickled_weights_alone_is_refused(pickled: str, tmp_path: Path) -> None:
    with pytest.raises(ModelReferenceError, match=r"cannot be loaded as a causal language model with safetensors"):
        load_causal_lm(pickled, tmp_path)
    with pytest.raises(ModelReferenceError, match=r"cannot be loaded with safetensors weights"):
        TransformerEncoder(EncoderSettings(model=pickled), cache=tmp_path).encode(["a text"])
