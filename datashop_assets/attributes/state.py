"""What made an attribute's scores, what is in force, and the versions that its cells should have.

What belongs here: reading and appending `attributes`, upstream tables and wanted versions. What does not: computing
scores (`produce.py`), when a distribution is taken anew (`redecide.py`).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import polars as pl

from datashop_assets.attribute_settings import RaterAttribute, inputs_of
from datashop_assets.attributes.distribution import Distribution, from_json, to_json
from datashop_assets.cellwork import Target, have
from datashop_assets.embedding.inputs import MissingUpstreamError
from datashop_assets.lineage import attribute_version, content_id
from datashop_assets.project import Project
from datashop_assets.records import DOCUMENTS, FILTERED, Cell
from datashop_assets.scoring.sources import score_source
from datashop_assets.scoring.tables import ATTRIBUTE_SCORES, ATTRIBUTES
from datashop_assets.seams import Lake


@dataclass(frozen=True, eq=False)
class AttributeRecord:
    """A row of `attributes`. `classifier` names what made the scores: settings, sources, content, distributions."""

    attribute: str
    kind: str
    settings: str
    sources: Mapping[str, str] = field(default_factory=dict)
    content: Any = None
    distributions: Mapping[str, Distribution] = field(default_factory=dict)
    documents: int = 0

    @property
    def classifier(self) -> str:
        """The content id of all but the number of documents."""
        told = to_json(self.distributions)
        return content_id(self.attribute, self.kind, self.settings, dict(self.sources), self.content, told)

    @property
    def target(self) -> Target:
        """Where the scores stand."""
        return attribute_target(self.attribute, self.classifier)


def attribute_target(attribute: str, classifier: str) -> Target:
    """Where an attribute's scores by one classifier stand."""
    return Target(ATTRIBUTE_SCORES.of(attribute), lambda cell: {"shard": cell.shard, "classifier": classifier})


def in_force(lake: Lake, project: Project, attribute: str) -> AttributeRecord | None:
    """The newest record of the attribute's settings in the project file."""
    settings = project.attributes[attribute].version
    rows = lake.scan(ATTRIBUTES).filter(pl.col("attribute") == attribute, pl.col("settings") == settings)
    newest = rows.sort("recorded_at").collect().to_dicts()[-1:]
    return _from_row(newest[0]) if newest else None


def record(lake: Lake, made: AttributeRecord, lineage: Mapping[str, Any]) -> None:
    """Append a record; it is in force from here on."""
    row = {
        "attribute": made.attribute,
        "classifier": made.classifier,
        "kind": made.kind,
        "settings": made.settings,
        "sources": json.dumps(dict(made.sources), sort_keys=True),
        "content": json.dumps(made.content, sort_keys=True),
        "distribution": to_json(made.distributions),
        "documents": made.documents,
        "recorded_at": datetime.now(UTC),
    }
    lake.commit(ATTRIBUTES, pl.DataFrame([row], schema=ATTRIBUTES.schema), None, lineage)


def _from_row(row: Mapping[str, Any]) -> AttributeRecord:
    return AttributeRecord(
        row["attribute"],
        row["kind"],
        row["settings"],
        json.loads(row["sources"]),
        json.loads(row["content"]),
        from_json(row["distribution"]),
        row["documents"],
    )


@dataclass(frozen=True)
class Upstream:
    """A table that an attribute's cells are made of, and the asset that makes it."""

    asset: str
    target: Target


def upstreams(lake: Lake, project: Project, attribute: str) -> list[Upstream]:
    """The tables that the attribute's cells are made of, in a fixed order.

    Raises LookupError where a source has no scores yet that could be meant, saying what to materialize.
    """
    settings = project.attributes[attribute]
    if not inputs_of(settings):
        survivors = settings.survivors_of if isinstance(settings, RaterAttribute) else None
        filtered = [Upstream("filtered_documents", Target(FILTERED.of(survivors)))] if survivors else []
        return [Upstream("documents", Target(DOCUMENTS)), *filtered]
    return [
        Upstream(_asset_of(project, name), score_source(lake, project, name).target) for name in inputs_of(settings)
    ]


def wanted_versions(
    lake: Lake, above: Sequence[Upstream], classifier: str, cells: Sequence[Cell]
) -> tuple[dict[Cell, str], dict[Cell, Exception]]:
    """The version that each cell should have, and for those that cannot be made yet the error that says why."""
    wanted: dict[Cell, str] = {}
    missing: dict[Cell, Exception] = {}
    there = [have(lake, upstream.target, cells) for upstream in above]
    for cell in cells:
        versions = [known.get(cell, (None, 0))[0] for known in there]
        absent = [upstream.asset for upstream, version in zip(above, versions, strict=True) if version is None]
        if absent:
            missing[cell] = MissingUpstreamError(f"materialize `{absent[0]}` first: it has nothing for {cell.shard}")
        else:
            wanted[cell] = attribute_version([str(version) for version in versions], classifier)
    return wanted, missing


def _asset_of(project: Project, name: str) -> str:
    if name in project.lenses:
        return "scores"
    return "derived_attributes" if inputs_of(project.attributes[name]) else "attributes"
