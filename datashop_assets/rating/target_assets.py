"""The asset of targeting by dataset: each target's description, which its lens judges by."""

from collections.abc import Callable
from pathlib import Path

import dagster as dg
from pydantic import Field

from datashop_assets.asset_metadata import OWNERS, RATER, RETRY, lineage_of, plain_failures, table_metadata
from datashop_assets.graph import SHIPPED_LENSES, TARGET_MODEL, Graph
from datashop_assets.rating.prompted import PromptedRater
from datashop_assets.rating.target_state import produce_description
from datashop_assets.rating.targets import TargetError
from datashop_assets.records import TARGET_DESCRIPTIONS
from datashop_assets.seams import ChatModel, Lake, Rater


class TargetConfig(dg.Config):
    """A person's word on a target."""

    description: str | None = Field(None, description="your own description; taken as it is, nothing is asked")
    overwrite: bool = Field(False, description="describe anew even where the lens folder's description was edited")


def target_assets(graph: Graph) -> list[dg.AssetsDefinition]:
    """The asset `target_description`; none where the project has no targets."""
    targets = graph.project.targets
    if not targets:
        return []

    @dg.asset(
        partitions_def=dg.StaticPartitionsDefinition(sorted(targets)),
        group_name="rating",
        owners=OWNERS,
        kinds={"huggingface", "markdown"},
        metadata=table_metadata(TARGET_DESCRIPTIONS),
        pool="rater",
        tags=RATER,
        retry_policy=RETRY,
        description=(
            "What a target's example corpora need of training data, described by a chat model, merged pair by pair, "
            "and written into the target's lens folder, where a person can edit it before it is used."
        ),
    )
    @plain_failures
    def target_description(
        context: dg.AssetExecutionContext,
        config: TargetConfig,
        lake: dg.ResourceParam[Lake],
        raters: dg.ResourceParam[Callable[[str], Rater]],
    ) -> dg.MaterializeResult:
        target = context.partition_key
        settings = targets[target]

        def model() -> ChatModel:
            rater = raters(settings.rater)
            if not isinstance(rater, PromptedRater):
                raise TargetError(
                    f"target {target!r}: the rater {settings.rater!r} cannot describe, it only scores; name one of "
                    "backend openai, vllm or transformers"
                )
            return rater.model

        folder = Path(graph.project.target_folder) / target
        made = produce_description(
            lake,
            target,
            settings,
            folder,
            SHIPPED_LENSES / TARGET_MODEL,
            model,
            lineage_of(context, lake),
            own=config.description,
            overwrite=config.overwrite,
            log=context.log.info,
        )
        if not made.made:
            context.log.info("%s is described already: nothing to do", target)
        return dg.MaterializeResult(
            metadata={
                "description": dg.MetadataValue.md(quoted(made.text)),
                "lens": dg.MetadataValue.path(str(folder)),
                "by": made.by,
                "edited by hand": made.edited,
                "skipped": not made.made,
                "questions": made.questions,
                "tokens": made.tokens,
                **{f"corpus {name}": dg.MetadataValue.md(quoted(text)) for name, text in made.parts.items()},
            }
        )

    return [target_description]


def quoted(text: str) -> str:
    """Text as Markdown shows it line by line, with nothing in it read as HTML."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace("\n", "  \n")
