"""Strategies by their settings.

What belongs here: which class is meant by which settings. What does not: the settings (`selection_settings.py`), the
strategies (a module each).
"""

from collections.abc import Callable
from typing import Any

from datashop_assets import selection_settings as settings_of
from datashop_assets.selection.alpagasus import AlpaGasus
from datashop_assets.selection.cluster_quota import ClusterQuota
from datashop_assets.selection.completion_length import CompletionLength
from datashop_assets.selection.deita import Deita
from datashop_assets.selection.ds2 import Ds2
from datashop_assets.selection.full import Full
from datashop_assets.selection.knn_distance import KnnDistance
from datashop_assets.selection.less import Less
from datashop_assets.selection.lm_lora import LoraSettings
from datashop_assets.selection.perplexity import Perplexity
from datashop_assets.selection.pool import Strategy
from datashop_assets.selection.random_draw import RandomDraw
from datashop_assets.selection.rds import RdsPlus
from datashop_assets.selection.temperature import TemperatureSampling

# A model reference (None: the project's own) -> its model and tokenizer.
LoadModel = Callable[[str | None], tuple[Any, Any]]


def build_strategy(name: str, settings: settings_of.StrategySettings, models: LoadModel) -> Strategy:
    """The strategy, named as the project names it. No model is loaded before it ranks."""
    match settings:
        case settings_of.Ds2Settings():
            return Ds2(settings.curated, name)
        case settings_of.RandomSettings():
            return RandomDraw(name)
        case settings_of.FullSettings():
            return Full(name)
        case settings_of.CompletionLengthSettings():
            return CompletionLength(settings.unit, name)
        case settings_of.KnnDistanceSettings():
            return KnnDistance(settings.k, name)
        case settings_of.AlpaGasusSettings():
            return AlpaGasus(settings.threshold, settings.curated, name)
        case settings_of.DeitaSettings():
            return Deita(settings.least_distance, settings.curated, name)
        case settings_of.TemperatureSettings():
            return TemperatureSampling(settings.temperature, settings.curated, name)
        case settings_of.ClusterQuotaSettings():
            return ClusterQuota(settings.clusters, settings.curated, name)
        case settings_of.PerplexitySettings():
            return Perplexity(lambda: models(settings.model), settings.direction, settings.max_tokens, name)
        case settings_of.RdsSettings():
            return RdsPlus(lambda: models(settings.model), settings.tasks, settings.max_tokens, name)
        case settings_of.LessSettings():
            lora = LoraSettings(
                share=settings.warm_up_share,
                epochs=settings.warm_up_epochs,
                rank=settings.rank,
                alpha=4 * settings.rank,  # the paper's proportion, table of hyperparameters: 128 and 512
                learning_rate=settings.learning_rate,
            )
            return Less(
                lambda: models(settings.model), settings.tasks, lora, settings.dimension, settings.max_tokens, name
            )
