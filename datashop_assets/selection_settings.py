"""What the project file says of selecting: strategies with their options, and what a lens selects by.

What belongs here: those settings. What does not: the strategies (`selection/`), every other setting (`project.py`).
"""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from datashop_assets.settings import Settings


class Ds2Settings(Settings):
    """The best classes, and the rarest documents of the class in which the budget ends (DS2)."""

    kind: Literal["ds2"]
    curated: bool = Field(True, description="by the curated score; false: by the rater's")


class RandomSettings(Settings):
    """A uniform draw."""

    kind: Literal["random"]


class FullSettings(Settings):
    """The whole pool, whatever the budget."""

    kind: Literal["full"]


class CompletionLengthSettings(Settings):
    """The longest documents."""

    kind: Literal["completion_length"]
    unit: Literal["tokens", "chars"] = "tokens"


class KnnDistanceSettings(Settings):
    """The documents farthest from their nearest others."""

    kind: Literal["knn_distance"]
    k: int = Field(10, ge=1, description="nearest texts whose mean distance counts")


class AlpaGasusSettings(Settings):
    """Classes from the best down, the class in which the budget ends by lot (AlpaGasus)."""

    kind: Literal["alpagasus"]
    threshold: float | None = Field(None, description="least score; null: as far down as the budget reaches")
    curated: bool = Field(False, description="by the curated score; false: by the rater's")


class DeitaSettings(Settings):
    """The best first, without what is too similar to something kept (DEITA)."""

    kind: Literal["deita"]
    least_distance: float = Field(0.1, ge=0, le=2, description="cosine distance to everything that is kept")
    curated: bool = Field(False, description="by the curated score; false: by the rater's")


class TemperatureSettings(Settings):
    """A draw with score / temperature as logits."""

    kind: Literal["temperature"]
    temperature: float = Field(1.0, ge=0, description="0: the best; the higher, the nearer to a uniform draw")
    curated: bool = Field(True, description="by the curated score; false: by the rater's")


class ClusterQuotaSettings(Settings):
    """The best of each cluster, as many as its share of the pool."""

    kind: Literal["cluster_quota"]
    clusters: int = Field(100, ge=1)
    curated: bool = Field(True, description="by the curated score; false: by the rater's")


class PerplexitySettings(Settings):
    """Documents by how well a causal language model predicts them."""

    kind: Literal["perplexity"]
    direction: Literal["lowest", "highest", "middle"] = "middle"
    max_tokens: int = Field(1024, ge=2, description="of each document, from its beginning")
    model: str | None = Field(None, description="a model reference; null: the model that is annealed")


class RdsSettings(Settings):
    """Documents most like examples of tasks in a language model's hidden states (RDS+)."""

    kind: Literal["rds_plus"]
    tasks: dict[str, tuple[str, ...]] = Field(min_length=1, description="task name -> example texts")
    max_tokens: int = Field(1024, ge=2, description="of each document, from its beginning")
    model: str | None = Field(None, description="a model reference; null: the model that is annealed")


class LessSettings(Settings):
    """Documents whose gradients point where those of task examples do (LESS)."""

    kind: Literal["less"]
    tasks: dict[str, tuple[str, ...]] = Field(min_length=1, description="task name -> example texts")
    max_tokens: int = Field(512, ge=2, description="of each document, from its beginning")
    dimension: int = Field(2048, ge=1, description="values that a gradient is projected to")
    warm_up_share: float = Field(0.05, gt=0, le=1, description="of the pool, to train the adapters on")
    warm_up_epochs: int = Field(4, ge=1, description="each with a checkpoint at which gradients are taken")
    rank: int = Field(8, ge=1, description="of the LoRA adapters")
    learning_rate: float = Field(2e-4, gt=0)
    model: str | None = Field(None, description="a model reference; null: the model that is annealed")


StrategySettings = Annotated[
    Ds2Settings
    | RandomSettings
    | FullSettings
    | CompletionLengthSettings
    | KnnDistanceSettings
    | AlpaGasusSettings
    | DeitaSettings
    | TemperatureSettings
    | ClusterQuotaSettings
    | PerplexitySettings
    | RdsSettings
    | LessSettings,
    Field(discriminator="kind"),
]
# Those that every project has; one of the same name in the project file takes its place.
STRATEGIES: dict[str, StrategySettings] = {
    "ds2": Ds2Settings(kind="ds2"),
    "ds2_uncurated": Ds2Settings(kind="ds2", curated=False),
    "random": RandomSettings(kind="random"),
    "full": FullSettings(kind="full"),
    "completion_length": CompletionLengthSettings(kind="completion_length"),
    "knn_distance": KnnDistanceSettings(kind="knn_distance"),
    "alpagasus": AlpaGasusSettings(kind="alpagasus"),
    "deita": DeitaSettings(kind="deita"),
    "temperature": TemperatureSettings(kind="temperature"),
    "cluster_quota": ClusterQuotaSettings(kind="cluster_quota"),
    "perplexity": PerplexitySettings(kind="perplexity"),
}
# What costs no pass of a language model over the pool.
CHEAP = tuple(name for name in STRATEGIES if name != "perplexity")


class SelectionSettings(Settings):
    """What a lens's subset is selected by, and what that is compared with."""

    strategy: str = Field("ds2", description="a name from `strategies`, or one of those that every project has")
    rows: int | None = Field(None, ge=1, description="documents at most; null: 10,000 unless `tokens` is given")
    tokens: int | None = Field(None, ge=1, description="tokens of the annealed model's tokenizer at most")
    seed: int = Field(0, ge=0)
    population: Literal["rated", "scored"] = Field(
        "rated", description="all rated documents with their curated scores, or all that the promoted classifier scored"
    )
    compare: tuple[str, ...] = Field(CHEAP, min_length=1, description="the strategies that `selection_comparison` runs")
    compare_rows: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        (),
        description=(
            "budgets of the comparison, in documents; empty: the subset's own, of half of the pool at most, a half and "
            "a quarter of it"
        ),
    )
    compare_seeds: tuple[Annotated[int, Field(ge=0)], ...] = Field((0, 1, 2), min_length=1)

    @model_validator(mode="after")
    def one_budget(self) -> "SelectionSettings":
        if self.rows is not None and self.tokens is not None:
            raise ValueError("a budget is given in `rows` or in `tokens`, not in both")
        for name in ("compare", "compare_rows", "compare_seeds"):
            given = getattr(self, name)
            if len(set(given)) < len(given):
                raise ValueError(f"`{name}` names something twice: {list(given)}")
        return self
