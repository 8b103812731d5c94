"""What a project may say of the model of a classifier: a group for each kind that reads stored vectors.

What belongs here: those settings. What does not: what is the same for all kinds (`classifier_settings.py`), kinds that
read texts (`text_model_settings.py`), how they are trained (a module each in the classifier stage).
"""

from typing import Literal

from pydantic import Field

from datashop_assets.settings import Settings


class LinearSettings(Settings):
    """A linear head on the stored vectors, by ridge regression."""

    kind: Literal["linear"] = "linear"
    l2: tuple[float, ...] = Field(
        (0.01, 0.1, 1.0, 10.0, 100.0), min_length=1, description="regularisations to choose from on validation rows"
    )


class OrdinalSettings(Settings):
    """Cumulative logits on the stored vectors: the chance that each whole score is exceeded; the score is their sum."""

    kind: Literal["ordinal"] = "ordinal"
    l2: tuple[float, ...] = Field(
        (0.01, 0.1, 1.0, 10.0), min_length=1, description="regularisations to choose from on validation rows"
    )


class SoftmaxSettings(Settings):
    """Logistic regression over whole scores on the stored vectors; the score is the expected one."""

    kind: Literal["softmax"] = "softmax"
    l2: tuple[float, ...] = Field(
        (0.01, 0.1, 1.0, 10.0), min_length=1, description="regularisations to choose from on validation rows"
    )


class NetworkSettings(Settings):
    """How a hidden layer and an output on the stored vectors are trained by gradient descent (AdamW)."""

    hidden: int | None = Field(None, ge=1, description="width of the hidden layer; null: that of the vectors")
    learning_rate: float = Field(1e-3, gt=0)
    schedule: Literal["linear", "cosine", "constant_with_warmup"] = Field(
        "cosine", description="of the learning rate, to 0 but for the last"
    )
    warmup_share: float = Field(0.1, ge=0, lt=1, description="of the steps, in which the learning rate rises from 0")
    epochs: int = Field(40, ge=1, description="at most")
    patience: int | None = Field(10, ge=1, description="epochs without a better one before it stops; null: none")
    best_by: Literal["mae", "macro_f1"] = Field("mae", description="on validation rows: which epoch is taken")
    batch_size: int = Field(64, ge=1, description="documents a step")
    weight_decay: float = Field(0.01, ge=0)
    dropout: float = Field(0.1, ge=0, lt=1, description="of the hidden layer, in training")
    standardize: bool = Field(
        True,
        description="train on vectors and targets of mean 0 and mean deviation 1; the stored head has it folded in",
    )


class PoolerSettings(NetworkSettings):
    """A dense layer with tanh and a linear output: a BERT classifier's pooler and head, over a frozen encoder."""

    kind: Literal["pooler"] = "pooler"


class MultiLensSettings(NetworkSettings):
    """The same with a hidden layer that several lenses share, and an output for each: this lens's own is stored."""

    kind: Literal["multi_lens"] = "multi_lens"
    lenses: tuple[str, ...] = Field(min_length=1, description="enabled lenses whose ratings are learnt from too")
