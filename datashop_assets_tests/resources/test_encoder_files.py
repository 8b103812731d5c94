from pathlib import Path

import pytest
from huggingface_hub import constants

from datashop_assets.encoder_settings import EncoderSettings
from resources.encoders import TransformerEncoder
from resources.encoders.local_files import encoder_folder
from resources.language_models import ModelReferenceError

NAME, COMMIT = "maker/encoder-m", "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache that holds one model at one commit, as the hub's library lays it out, and no network."""
    snapshot = tmp_path / "models--maker--encoder-m" / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text("{}")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return snapshot


def test_a_hub_model_is_taken_at_the_revision_that_is_asked_for(hub):
    assert encoder_folder(f"{NAME}@{COMMIT}").resolve() == hub.resolve()


@pytest.mark.parametrize("reference", [f"{NAME}@another", "maker/other", "maker/encoder@m@n@!"])
def test_what_cannot_be_had_is_named_with_its_revision(hub, reference):
    with pytest.raises(ModelReferenceError, match=reference.split("@")[0]):
        encoder_folder(reference)


def test_another_revision_is_another_encoder():
    first, second = (TransformerEncoder(EncoderSettings(model=f"{NAME}@{commit}")).id for commit in ("a", "b"))
    assert first != second
    assert first.startswith("encoder-m-a-mean-")
