"""What a project may say of the model of a classifier that reads texts, and of what becomes of it when it is promoted.

What belongs here: those settings. What does not: what is the same for all kinds (`classifier_settings.py`), kinds that
read stored vectors (`model_settings.py`), models made elsewhere (`finished_settings.py`).
"""

from typing import Literal

from pydantic import Field, model_validator

from datashop_assets.settings import Settings


class FastTextSettings(Settings):
    """A fastText classifier: words and word n-grams, trained and run on a CPU; the score is the expected class."""

    kind: Literal["fasttext"] = "fasttext"
    epochs: tuple[int, ...] = Field((5, 25, 100), min_length=1, description="to choose from on validation rows")
    learning_rates: tuple[float, ...] = Field((0.5,), min_length=1, description="to choose from, as `epochs`")
    word_ngrams: int = Field(2, ge=1, le=5, description="longest sequence of words that counts as one feature")
    character_ngrams: tuple[int, int] | None = Field(
        None, description="[shortest, longest] of parts of words, for languages without blanks and misspelt text"
    )
    dimension: int = Field(64, ge=2, le=1000, description="of the words' vectors")
    min_count: int = Field(1, ge=1, description="words seen less often in training are left out")
    buckets: int = Field(
        200_000, ge=1000, description="n-grams are hashed into so many; the file has 4 bytes x dimension for each"
    )
    max_chars: int | None = Field(10_000, ge=1, description="of a document that are read; null: all of it")


class FineTuneSettings(Settings):
    """All weights of an encoder trained as a regression; the defaults are the published recipe of MEDU's classifiers.

    Those name gte-base-en-v1.5, which is published as code of its own and is not run here; gte-modernbert-base is its
    native substitute, of the same makers and about the same size. Checkpoints are judged on validation rows.
    """

    kind: Literal["fine_tune"] = "fine_tune"
    model: str = Field(
        "Alibaba-NLP/gte-modernbert-base", description="package:<module>/<folder>, a local path, or a hub name"
    )
    revision: str | None = Field(None, description="of a hub name: a commit, tag or branch; null: the newest")
    max_tokens: int = Field(512, ge=2, description="of a document; the rest is not read")
    learning_rate: float = Field(5e-5, gt=0)
    schedule: Literal["cosine", "linear", "constant"] = Field("cosine", description="of the learning rate, to 0")
    warmup_share: float = Field(0.1, ge=0, lt=1, description="of the steps, in which the learning rate rises from 0")
    epochs: float = Field(3.0, gt=0)
    batch_size: int = Field(128, ge=1, description="documents a step")
    device_batch_size: int | None = Field(
        None, ge=1, description="documents at once, where a batch does not fit into memory; null: all; halved by itself"
    )
    weight_decay: float = Field(0.0, ge=0)
    evaluate_steps: int = Field(100, ge=1, description="steps between checkpoints, each measured; and at each end")
    best_by: Literal["macro_f1", "mae", "loss"] = Field(
        "macro_f1", description="which checkpoint is taken: of rounded scores, or the lowest error or loss"
    )
    patience: int | None = Field(None, ge=1, description="checkpoints without a better one before it stops; null: none")
    precision: Literal["float32", "bfloat16"] = Field("float32", description="of the activations; weights are float32")

    @model_validator(mode="after")
    def batches_divide(self) -> "FineTuneSettings":
        if self.device_batch_size is not None and self.batch_size % self.device_batch_size:
            raise ValueError("`batch_size` has to be a multiple of `device_batch_size`")
        return self
