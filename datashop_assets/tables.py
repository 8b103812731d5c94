"""Every table of the lake.

What belongs here: the list. What does not: the schemas (`records.py` those that several stages speak; the others stand
with their stage).
"""

from datashop_assets import records
from datashop_assets.automation.tables import PAUSES
from datashop_assets.curation.tables import CURATED_ANNOTATIONS, CURATIONS
from datashop_assets.deduplication.tables import CONTAMINATION, DUPLICATES, MINHASHES, REPEATED_PARAGRAPHS
from datashop_assets.drift.tables import LANGUAGE_SAMPLES
from datashop_assets.filtering.tables import CUTOFF_LOOKS, SCORE_SKETCHES
from datashop_assets.housekeeping.tables import HOUSEKEEPING
from datashop_assets.records import TableSpec
from datashop_assets.scoring.tables import (
    ATTRIBUTE_REPORTS,
    ATTRIBUTE_SCORES,
    ATTRIBUTES,
    CASCADE_AUDITS,
    CASCADES,
    EXACT_SCORES,
    PRECISION_SAMPLES,
    REDUCED_ENCODERS,
)
from datashop_assets.selection.tables import SELECTED, SELECTION_COMPARISONS, SELECTIONS

TABLES: tuple[TableSpec, ...] = (
    records.SHARDS,
    records.WITHDRAWN_SHARDS,
    PAUSES,
    records.DOCUMENTS,
    records.QUARANTINE,
    MINHASHES,
    DUPLICATES,
    REPEATED_PARAGRAPHS,
    CONTAMINATION,
    records.EMBEDDINGS,
    records.ANNOTATIONS,
    records.EXEMPLAR_RATINGS,
    CURATED_ANNOTATIONS,
    CURATIONS,
    records.CLASSIFIERS,
    records.PROMOTIONS,
    records.SCORES,
    PRECISION_SAMPLES,
    REDUCED_ENCODERS,
    EXACT_SCORES,
    ATTRIBUTE_SCORES,
    ATTRIBUTES,
    ATTRIBUTE_REPORTS,
    SCORE_SKETCHES,
    records.CUTOFFS,
    CUTOFF_LOOKS,
    LANGUAGE_SAMPLES,
    CASCADES,
    CASCADE_AUDITS,
    records.FILTERED,
    records.RELEASES,
    SELECTED,
    SELECTIONS,
    SELECTION_COMPARISONS,
    records.TARGET_DESCRIPTIONS,
    records.ANNEALED_MODELS,
    records.EVAL_REPORTS,
    HOUSEKEEPING,
)
