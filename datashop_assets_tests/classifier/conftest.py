from collections.abc import Callable

import numpy as np
import polars as pl
import pytest

from datashop_assets.embedding.embed import embeddings_frame, unpack
from datashop_assets.encoder_settings import EncoderSettings
from datashop_assets_tests.classifier.real_texts import labelled_texts
from resources.encoders import TransformerEncoder


@pytest.fixture(scope="session")
def real() -> pl.DataFrame:
    return labelled_texts()


@pytest.fixture(scope="session")
def embedded(real) -> Callable[[str, bool], tuple[TransformerEncoder, np.ndarray]]:
    """The encoder with this pooling and normalisation, and the stored vectors of the real texts."""
    made: dict[tuple[str, bool], tuple[TransformerEncoder, np.ndarray]] = {}

    def of(pooling: str, normalize: bool) -> tuple[TransformerEncoder, np.ndarray]:
        if (pooling, normalize) not in made:
            settings = EncoderSettings(pooling=pooling, normalize=normalize, max_tokens=128)
            encoder = TransformerEncoder(settings, threads=1)
            made[pooling, normalize] = encoder, unpack(embeddings_frame(real, encoder)["embedding"])
        return made[pooling, normalize]

    return of
