"""Raters: the ways to get a judgement from an LLM."""

from pathlib import Path

from datashop_assets.project import ProjectError, RaterSettings
from datashop_assets.seams import ChatModel, Rater
from resources.raters.answer_cache import SqlAnswerCache


def build_rater(settings: RaterSettings, cache: Path, answers: SqlAnswerCache | None = None) -> Rater:
    """The rater that the settings ask for; loads no model and opens no connection. Raises ProjectError.

    `cache` keeps converted models, servers' logs and the batches that are under way; `answers` what models answered.
    """
    if settings.backend == "exemplar_contrast":
        from resources.raters.exemplar_contrast import ExemplarContrastRater

        return ExemplarContrastRater(settings, cache)
    if settings.backend == "imported":
        from resources.raters.imported import ImportedRater

        return ImportedRater(settings)
    kept = answers and answers.of(settings.model)
    if settings.batch_api:
        from datashop_assets.rating.batched import BatchedRater
        from resources.raters.openai_batch import OpenAIBatchModel

        if settings.backend != "openai":
            raise ProjectError(f"batch_api is of backend openai, not {settings.backend}; leave it out")
        return BatchedRater(OpenAIBatchModel(settings, cache / "batches"), settings, kept)
    from datashop_assets.rating.prompted import PromptedRater

    return PromptedRater(_chat_model(settings, cache), settings, kept)


def _chat_model(settings: RaterSettings, cache: Path) -> ChatModel:
    if settings.backend == "transformers":
        from resources.raters.chat_transformers import TransformersChatModel

        return TransformersChatModel(settings, cache)
    if settings.server is not None:
        from resources.raters.vllm_server import VllmServerModel

        return VllmServerModel(settings, cache, cache.parent / "logs")
    from resources.raters.chat_openai import OpenAIChatModel

    return OpenAIChatModel(settings)
