"""Pushing a model folder, to a server that speaks the hub's protocol."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from datashop_assets_tests.resources.hub_server import TOKEN, Hub, hub_server
from resources.publishers import HubPublisher, PublishError


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    with hub_server() as hub:
        yield hub


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "sequence_classification").mkdir()
    (tmp_path / "README.md").write_text("a card")
    (tmp_path / "sequence_classification" / "config.json").write_text("{}")
    return tmp_path


def test_the_repository_holds_the_folder_and_nothing_of_the_classifier_before(hub: Hub, folder: Path) -> None:
    publisher = HubPublisher(TOKEN, hub.address)
    publisher.publish("org/edu", folder, True, "the first")
    (folder / "README.md").unlink()
    (folder / "model.bin").write_bytes(b"weights")
    place = publisher.publish("org/edu", folder, True, "the second")
    assert hub.files["org/edu"] == {"sequence_classification/config.json": b"{}", "model.bin": b"weights"}
    assert hub.private == {"org/edu"}
    assert hub.commits == ["the first", "the second"]
    assert place.startswith(f"{hub.address}/org/edu")


def test_without_a_token_or_with_a_wrong_one_nothing_is_pushed_and_the_token_is_not_shown(
    hub: Hub, folder: Path
) -> None:
    with pytest.raises(PublishError, match="set HF_TOKEN"):
        HubPublisher(None, hub.address).publish("org/edu", folder, True, "m")
    wrong = HubPublisher("hf_wrong", hub.address)
    with pytest.raises(PublishError, match="the hub refuses to publish to org/edu"):
        wrong.publish("org/edu", folder, True, "m")
    assert hub.files == {}
    assert "hf_wrong" not in repr(wrong)
