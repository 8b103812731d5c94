"""The partitions: shards (dynamic), lenses of either kind (static), and the grids of both.

What belongs here: the partition definitions, and the translation between Dagster's keys and cells.
What does not: which cells need work (`lineage.py`).
"""

import warnings
from collections.abc import Sequence

import dagster as dg

from datashop_assets.attribute_settings import inputs_of
from datashop_assets.graph import Graph
from datashop_assets.records import Cell

# Backfill policies, this mapping and partitioned checks are marked beta or preview; all three are what this product
# stands on, dagster is pinned below 1.14, and the warnings would greet every user at every start.
warnings.filterwarnings("ignore", category=dg.BetaWarning)
warnings.filterwarnings("ignore", category=dg.PreviewWarning)

# The dimensions of the grids.
SHARD, LENS = "shard", "lens"
SHARDS = dg.DynamicPartitionsDefinition(name="shard")

# One run carries one lens x one contiguous stretch of at most this many shards. A cell costs two events of about
# 25 ms inside a run; a run costs some 10 s to start.
CELLS_PER_RUN = 256
RANGES = dg.BackfillPolicy.multi_run(CELLS_PER_RUN)


def lens_partitions(graph: Graph) -> dg.StaticPartitionsDefinition:
    """The lenses that score."""
    return dg.StaticPartitionsDefinition(graph.score_lenses)


def label_partitions(graph: Graph) -> dg.StaticPartitionsDefinition:
    """The lenses that give labels."""
    return dg.StaticPartitionsDefinition(graph.label_lenses)


def annealed_partitions(graph: Graph) -> dg.StaticPartitionsDefinition:
    """The lenses whose candidate is annealed and evaluated."""
    return dg.StaticPartitionsDefinition(graph.annealed)


def cascaded_partitions(graph: Graph) -> dg.StaticPartitionsDefinition:
    """The lenses that have a cascade before the encoder."""
    return dg.StaticPartitionsDefinition(graph.cascaded)


def lens_to_cascaded(graph: Graph) -> dg.StaticPartitionMapping:
    """From all lenses to those that have a cascade, each to itself."""
    return dg.StaticPartitionMapping({lens: lens for lens in graph.cascaded})


def lens_to_annealed(graph: Graph) -> dg.StaticPartitionMapping:
    """From all lenses to those that are annealed, each to itself."""
    return dg.StaticPartitionMapping({lens: lens for lens in graph.annealed})


def grid_partitions(graph: Graph) -> dg.MultiPartitionsDefinition:
    """The grid of score lenses. Dagster sorts dimensions by name, so its keys read `<lens>|<shard>`."""
    return dg.MultiPartitionsDefinition({"lens": lens_partitions(graph), "shard": SHARDS})


def label_grid_partitions(graph: Graph) -> dg.MultiPartitionsDefinition:
    """The grid of label lenses, a partitions definition of its own: no later stage has these cells."""
    return dg.MultiPartitionsDefinition({"lens": label_partitions(graph), "shard": SHARDS})


def attribute_partitions(attributes: Sequence[str]) -> dg.MultiPartitionsDefinition:
    """The grid of some attributes; its keys read `<attribute>|<shard>`. Such a cell's `lens` is the attribute."""
    return dg.MultiPartitionsDefinition({"attribute": dg.StaticPartitionsDefinition(list(attributes)), SHARD: SHARDS})


def same_shards(graph: Graph) -> list[dg.AssetDep]:
    """What derived attributes come after: over the same shard, the scores and attributes that each is made of."""
    made_of = {name: inputs_of(graph.project.attributes[name]) for name in graph.derived_attributes}

    def after(asset: str, dimension: str, names: Sequence[str]) -> dg.AssetDep:
        used = {name: {each for each, inputs in made_of.items() if name in inputs} for name in names}
        static = dg.StaticPartitionMapping({name: users for name, users in used.items() if users})
        mapping = dg.MultiPartitionMapping(
            {
                dimension: dg.DimensionPartitionMapping("attribute", static),
                SHARD: dg.DimensionPartitionMapping(SHARD, dg.IdentityPartitionMapping()),
            }
        )
        return dg.AssetDep(asset, partition_mapping=mapping)

    needed = {name for inputs in made_of.values() for name in inputs}
    scores = [after("scores", "lens", graph.score_lenses)] if needed & set(graph.score_lenses) else []
    measured = graph.measured_attributes
    return [*scores, *([after("attributes", "attribute", measured)] if needed & set(measured) else [])]


# Fan-in of the grid to its lens. (`lens` and `shard` to the grid are inferred by Dagster.)
GRID_TO_LENS = dg.MultiToSingleDimensionPartitionMapping(partition_dimension_name="lens")


# All shards at once, for assets of a lens that read tables of the whole corpus.
EVERY_SHARD = dg.AllPartitionMapping()


def cells_of(context: dg.AssetExecutionContext) -> list[Cell]:
    """The cells of this run in shard order: crawl order, as shard keys sort. Dagster gives fan-ins in set order."""
    cells = []
    for key in context.partition_keys:
        if isinstance(key, dg.MultiPartitionKey):
            dimensions = key.keys_by_dimension
            cells.append(Cell(dimensions[SHARD], dimensions[grid_dimension(context)]))
        else:
            cells.append(Cell(key))
    return sorted(cells, key=lambda cell: (cell.lens or "", cell.shard))


def grid_dimension(context: dg.AssetExecutionContext) -> str:
    """What the run's grid has beside shards: lenses or attributes. Without a grid it does not count."""
    partitions = context.assets_def.partitions_def
    if not isinstance(partitions, dg.MultiPartitionsDefinition):
        return LENS
    return next(dimension.name for dimension in partitions.partitions_defs if dimension.name != SHARD)


def cells_by_lens(context: dg.AssetExecutionContext) -> dict[str, list[Cell]]:
    """The cells of this run of a grid asset, lens by lens, each in crawl order."""
    grouped: dict[str, list[Cell]] = {}
    for cell in cells_of(context):
        grouped.setdefault(str(cell.lens), []).append(cell)
    return grouped


def partition_key(cell: Cell) -> str:
    """The cell's partition key as Dagster writes it."""
    if cell.lens is None:
        return cell.shard
    return dg.MultiPartitionKey({"lens": cell.lens, "shard": cell.shard})


PARTITION_TAG = "dagster/partition"


def dimension_tags(cell: Cell, dimension: str = LENS) -> dict[str, str]:
    """The tags by which Dagster finds a materialization of a grid's cell in each dimension; none without a lens."""
    if cell.lens is None:
        return {}
    return {f"{PARTITION_TAG}/{dimension}": cell.lens, f"{PARTITION_TAG}/{SHARD}": cell.shard}


# First and last partition of a run over a stretch.
RANGE_TAGS = ("dagster/asset_partition_range_start", "dagster/asset_partition_range_end")


def range_tags(lens: str | None, first: str, last: str) -> dict[str, str]:
    """Run tags that ask for a contiguous stretch of shards of one lens."""
    return {tag: partition_key(Cell(shard, lens)) for tag, shard in zip(RANGE_TAGS, (first, last), strict=True)}
