"""Raters: the ways to get a judgement from an LLM."""

from pathlib import Path

from datashop_assets.project import RaterSettings
from datashop_assets.seams import Rater


def build_rater(settings: RaterSettings, cache: Path) -> Rater:
    """The rater that the settings ask for; loads no model and opens no connection. `cache` keeps converted models."""
    if settings.backend == "openai":
        from resources.raters.openai_compatible import OpenAICompatibleRater

        return OpenAICompatibleRater(settings)
    from resources.raters.exemplar_contrast import ExemplarContrastRater

    return ExemplarContrastRater(settings, cache)
