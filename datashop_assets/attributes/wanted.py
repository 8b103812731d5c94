"""Which of an attribute's cells can be brought up to date now, for whoever plans runs.

What belongs here: that question, answered from tables alone: no model, file list or rater is looked at. What does not:
answering it in a run, which looks at all of them (`produce.py`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from datashop_assets.attribute_settings import RaterAttribute, inputs_of
from datashop_assets.attributes.state import in_force, upstreams, wanted_versions
from datashop_assets.cellwork import Target
from datashop_assets.project import Project
from datashop_assets.records import Cell
from datashop_assets.scoring.sources import score_source
from datashop_assets.seams import Lake

# In place of the classifier where a run has yet to find out: no cell is at such a version.
UNDECIDED = "undecided"


@dataclass(frozen=True)
class Wanted:
    """The version that each cell should have; `target` is null where nothing is in force and no cell can have it."""

    versions: Mapping[Cell, str]
    target: Target | None


def wanted_attribute(lake: Lake, project: Project, attribute: str, cells: Sequence[Cell]) -> Wanted:
    """What is wanted of the cells whose inputs are there.

    Nothing of an attribute that asks a rater, which costs money. Nothing of a derived one without a record in force for
    its sources as they are now, until these have scores in all of the cells: its distribution is taken over them. What
    a run alone can see (another model file, other imported files, a function that changed) makes no cell wanted; any
    run of the attribute finds it, and from its record on all cells are.
    """
    settings = project.attributes[attribute]
    if isinstance(settings, RaterAttribute):
        return Wanted({}, None)
    try:
        above = upstreams(lake, project, attribute)
    except LookupError:  # a source has no scores yet: there is nothing to plan
        return Wanted({}, None)
    known = in_force(lake, project, attribute)
    sources = {name: score_source(lake, project, name).classifier for name in inputs_of(settings)}
    if known is not None and known.sources == sources:
        versions, _ = wanted_versions(lake, above, known.classifier, cells)
        return Wanted(versions, known.target)
    versions, missing = wanted_versions(lake, above, UNDECIDED, cells)
    return Wanted({} if sources and missing else versions, None)
