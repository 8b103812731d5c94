"""Assets of the selection stage: a lens's subset, and strategies side by side."""

import json
from typing import Any

import dagster as dg
import polars as pl
from pydantic import Field

from datashop_assets.asset_metadata import (
    CPU,
    OWNERS,
    explained,
    lineage_of,
    picture,
    plain_failures,
    preview,
    table,
    table_metadata,
)
from datashop_assets.curation.tables import CURATED_ANNOTATIONS
from datashop_assets.graph import Graph
from datashop_assets.partitions import EVERY_SHARD, GRID_TO_LENS, lens_partitions
from datashop_assets.plots import histograms, named_points, share_map
from datashop_assets.project import ProjectError
from datashop_assets.records import EMBEDDINGS, SCORES
from datashop_assets.seams import Encoder, Exports, Lake, LanguageModels
from datashop_assets.selection.budget import Budget
from datashop_assets.selection.compare import Comparison
from datashop_assets.selection.documents import Population, rated_documents, scored_documents
from datashop_assets.selection.produce import RECIPE, Choice, Subset, produce_comparison, produce_subset
from datashop_assets.selection.strategies import build_strategy
from datashop_assets.selection.tables import SELECTED, SELECTION_COMPARISONS, SELECTIONS
from datashop_assets.selection_settings import SelectionSettings

GROUP = "selection"
DEFAULT_ROWS = 10_000  # as the published comparisons of such strategies take
PREVIEW_ROWS = 10


class SubsetConfig(dg.Config):
    """Overrides the lens's `selection` for one run. The subset is another one, beside those that there are."""

    strategy: str | None = Field(None, description="name of a strategy; null: the lens's own")
    rows: int | None = Field(None, ge=1, description="documents at most; with `tokens` null too: the lens's own budget")
    tokens: int | None = Field(None, ge=1, description="tokens at most; not together with `rows`")
    seed: int | None = Field(None, ge=0, description="null: the lens's own")

    def over(self, settings: SelectionSettings) -> SelectionSettings:
        """The settings with what this run asks for instead. Raises ValueError where the two do not fit together."""
        asked = {name: value for name, value in self.model_dump().items() if value is not None}
        if "rows" in asked or "tokens" in asked:
            asked = {"rows": None, "tokens": None} | asked
        return SelectionSettings.model_validate(settings.model_dump() | asked)


def budget_of(settings: SelectionSettings) -> Budget:
    """The settings' budget."""
    if settings.tokens is not None:
        return Budget(tokens=settings.tokens)
    return Budget(rows=settings.rows or DEFAULT_ROWS)


def budgets_of(settings: SelectionSettings, population: Population) -> list[Budget]:
    """The budgets of a comparison, the largest first. One that takes nearly all would show no difference: the largest
    is half of the pool at most, unless the settings name others."""
    if settings.compare_rows:
        return [Budget(rows=rows) for rows in sorted(set(settings.compare_rows), reverse=True)]
    if settings.tokens is not None:
        most = max(4, min(settings.tokens, int(population.pool.rows["tokens"].sum()) // 2))
        return [Budget(tokens=most // part) for part in (1, 2, 4)]
    most = max(4, min(settings.rows or DEFAULT_ROWS, len(population) // 2))
    return [Budget(rows=most // part) for part in (1, 2, 4)]


def subset_facts(made: Subset, pool: pl.DataFrame | None, lens_title: str) -> dict[str, Any]:
    """What people see of a subset; `pool` are the rows that it was chosen from."""
    rows, record = made.rows, made.record
    reasons = rows["reason"].value_counts(sort=True).rename({"count": "documents"})
    facts: dict[str, Any] = {
        "documents": rows.height,
        "tokens": record["tokens"],
        "strategy": record["strategy"],
        "budget": record["budget"],
        "seed": record["seed"],
        "subset": record["subset"],
        "path": dg.MetadataValue.path(made.place),
        "reasons": table(reasons.head(20)),
        "sources": table(rows["source"].value_counts(sort=True).rename({"count": "documents"})),
        "left out": dg.MetadataValue.json(json.loads(record["left_out"])),
        "first documents": preview(
            rows, ["rank", "id", "source", "score", "curated_score", "reason", "value"], PREVIEW_ROWS
        ),
        "skipped": made.reused,
    }
    for name in ("score", "curated_score"):
        values = rows[name].drop_nulls()
        if len(values):
            facts[f"mean {name.replace('_', ' ')}"] = float(values.to_numpy().mean())
    if record["notes"]:
        facts["note"] = " ".join(record["notes"])
    if pool is not None:
        by = "curated_score" if rows["curated_score"].null_count() < rows.height else "score"
        groups = {"pool": pool[by].drop_nulls().to_list(), "subset": rows[by].drop_nulls().to_list()}
        if all(groups.values()):
            shown = histograms(groups, "Scores of pool and subset", lens_title, bins=20)
            facts["scores"] = picture(shown, "scores of the pool and of the subset")
    return facts


def comparison_facts(made: Comparison) -> dict[str, Any]:
    """What people see of a comparison: means over seeds, and at the largest budget the pictures."""
    figures = made.selections
    means = made.summary().select(
        "strategy",
        "budget",
        "seeds",
        pl.col("rows", "tokens").round(0).cast(pl.Int64),
        *("mean_score", "mean_curated_score", "vendi", "nearest_distance"),
        pl.col("agreement").alias("seeds agree"),
    )
    largest = figures["budget"][0]
    at_most = means.filter(pl.col("budget") == largest)
    names = at_most["strategy"].to_list()
    overlap = made.overlap.filter(pl.col("budget") == largest)
    shared = {(one, two): value for one, two, value in overlap.select("strategy", "other", "jaccard").iter_rows()}
    facts: dict[str, Any] = {
        "strategies": len(names),
        "budgets": ", ".join(figures["budget"].unique(maintain_order=True)),
        "means over seeds": table(means),
        "overlap": picture(
            share_map(
                [[shared.get((one, two)) for two in names] for one in names], names, names, f"Shared of {largest}"
            ),
            "Jaccard index of what two strategies take",
        ),
    }
    score = "mean_curated_score" if at_most["mean_curated_score"].null_count() < at_most.height else "mean_score"
    # Of many more documents than the others take, diversity cannot be compared.
    alike = pl.col("rows") <= 2 * pl.col("rows").median()
    points = {
        name: (vendi, value)
        for name, vendi, value in at_most.filter(alike).select("strategy", "vendi", score).iter_rows()
        if vendi is not None and value is not None
    }
    if points:
        plane = named_points(
            points, "diversity (Vendi score)", score.replace("_", " "), f"Score and diversity, {largest}"
        )
        facts["score and diversity"] = picture(plane, "mean score against diversity, a point a strategy")
    mixed = made.sources.filter(pl.col("budget") == largest).with_columns(pl.col("source").fill_null("(unknown)"))
    if mixed.height:
        seeds = figures["seed"].n_unique()
        shares = mixed.group_by("strategy", "source").agg(pl.col("share").sum() / seeds)
        known = {(strategy, source): share for strategy, source, share in shares.iter_rows()}
        sources = mixed["source"].unique().sort().to_list()
        mix = [[known.get((name, source), 0.0) for source in sources] for name in names]
        facts["source mix"] = picture(share_map(mix, names, sources, f"Sources, {largest}"), "share of each source")
    told = figures.select("strategy", "notes").explode("notes").drop_nulls().unique(maintain_order=True)
    notes = [f"{strategy}: {note}" for strategy, note in told.iter_rows()]
    if notes:
        facts["note"] = dg.MetadataValue.md("\n".join(f"- {note}" for note in notes))
    return facts


def selection_assets(graph: Graph) -> list[dg.AssetsDefinition]:
    """The selection assets of a project."""
    project = graph.project
    deps: list[Any] = ["curated_annotations", dg.AssetDep("embeddings", partition_mapping=EVERY_SHARD)]
    if any(graph.settings(lens).selection.population == "scored" for lens in graph.score_lenses):
        deps.append(dg.AssetDep("scores", partition_mapping=GRID_TO_LENS))
    common: dict[str, Any] = {
        "deps": deps,
        "partitions_def": lens_partitions(graph),
        "group_name": GROUP,
        "owners": OWNERS,
        "kinds": {"numpy", "deltalake"},
        "code_version": f"{RECIPE}-{graph.selection_code_version}",
        "tags": CPU,
    }

    def population_of(lens: str, lake: Lake, encoder: Encoder, models: LanguageModels) -> Population:
        read = scored_documents if graph.settings(lens).selection.population == "scored" else rated_documents
        return read(lake, graph.lenses[lens], encoder.id, project, models)

    def choice_of(name: str, settings: SelectionSettings, models: LanguageModels) -> Choice:
        if name not in project.all_strategies:
            raise ProjectError(f"there is no strategy {name!r}; known: {sorted(project.all_strategies)}")
        asked = project.all_strategies[name]
        content = asked.model_dump(mode="json")
        if "model" in content:
            content["model"] = models.id(content["model"])
        strategy = build_strategy(name, asked, models.load)
        return Choice(strategy, content, budget_of(settings), settings.seed, settings.population)

    @dg.asset(
        **common,
        metadata=table_metadata(SELECTED, SELECTIONS),
        description=explained(
            "The documents of the lens that a strategy takes within a budget of rows or tokens, ranked, each with its "
            "reason; as Parquet and JSONL too. Every subset stays beside those before it.",
            costs="by strategy: seconds of sorting, or a model's pass over every candidate",
            by_hand="when you need a subset for a training run",
        ),
    )
    @plain_failures
    def selected_subset(
        context: dg.AssetExecutionContext,
        config: SubsetConfig,
        lake: dg.ResourceParam[Lake],
        encoder: dg.ResourceParam[Encoder],
        language_models: dg.ResourceParam[LanguageModels],
        subsets: dg.ResourceParam[Exports],
    ) -> dg.MaterializeResult:
        lens = context.partition_key
        settings = config.over(graph.settings(lens).selection)
        lineage = lineage_of(context, lake, CURATED_ANNOTATIONS.of(lens), EMBEDDINGS.of(encoder.id), SCORES.of(lens))
        choice = choice_of(settings.strategy, settings, language_models)
        population = population_of(lens, lake, encoder, language_models)
        made = produce_subset(lake, lens, population, choice, subsets, lineage)
        if made.reused:
            context.log.info("subset %s was selected from the same documents: nothing to do", made.record["subset"])
        return dg.MaterializeResult(
            metadata=subset_facts(made, None if made.reused else population.pool.rows, graph.lenses[lens].title)
            | {"dagster/partition_row_count": made.rows.height}
        )

    @dg.asset(
        **common,
        metadata=table_metadata(SELECTION_COMPARISONS),
        description=explained(
            "What several strategies take of the lens's documents at several budgets with several seeds: scores, "
            "tokens, sources, diversity, how much they take alike, and whether another seed takes the same.",
            costs="each strategy of the comparison once a seed",
            by_hand="before you decide on a strategy",
        ),
    )
    @plain_failures
    def selection_comparison(
        context: dg.AssetExecutionContext,
        lake: dg.ResourceParam[Lake],
        encoder: dg.ResourceParam[Encoder],
        language_models: dg.ResourceParam[LanguageModels],
    ) -> dg.MaterializeResult:
        lens = context.partition_key
        settings = graph.settings(lens).selection
        lineage = lineage_of(context, lake, CURATED_ANNOTATIONS.of(lens), EMBEDDINGS.of(encoder.id), SCORES.of(lens))
        choices = [choice_of(name, settings, language_models) for name in settings.compare]
        population = population_of(lens, lake, encoder, language_models)
        budgets = budgets_of(settings, population)
        made, reused = produce_comparison(lake, lens, population, choices, budgets, settings.compare_seeds, lineage)
        if reused:
            context.log.info("the same strategies were compared on the same documents: nothing to do")
        return dg.MaterializeResult(metadata=comparison_facts(made) | {"skipped": reused})

    return [selected_subset, selection_comparison]
