"""What every stage's assets are built from: the project, its enabled lenses and its code versions.

What belongs here: choices that follow from the project file alone. What does not: Dagster objects (`partitions.py`).
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from datashop_assets.attribute_settings import inputs_of
from datashop_assets.cascade_settings import CascadeSettings
from datashop_assets.conditions import parse
from datashop_assets.lineage import content_id
from datashop_assets.project import LensSettings, Project, ProjectError
from datashop_assets.rating.lens import Lens
from datashop_assets.rating.lens_folder import LensFolderError, load_lenses

LOG = logging.getLogger(__name__)
SHIPPED_LENSES = Path(__file__).parent / "lenses"
TARGET_MODEL = "medu"  # the shipped lens of which every target's lens is a copy


@dataclass(frozen=True)
class Graph:
    """A project with its enabled lenses loaded."""

    project: Project
    lenses: Mapping[str, Lens]

    def settings(self, lens: str) -> LensSettings:
        return self.project.lenses[lens]

    def asked_raters(self, lens: str) -> list[str]:
        """The names of the lens's raters that can be asked; those whose ratings are imported cannot."""
        raters = self.project.raters
        return [name for name in self.settings(lens).all_raters if raters[name].backend != "imported"]

    @property
    def score_lenses(self) -> list[str]:
        """The names of the lenses that score: those that a classifier learns, with all that follows from it."""
        return sorted(name for name, lens in self.lenses.items() if lens.kind == "score")

    @property
    def label_lenses(self) -> list[str]:
        """The names of the lenses that give labels, which are reported and go no further."""
        return sorted(name for name, lens in self.lenses.items() if lens.kind == "label")

    @property
    def deduplication_assets(self) -> tuple[str, ...]:
        """The assets of the deduplication stage that the project asks for; none by default."""
        settings = self.project.deduplication
        asked = {
            "minhashes": settings.near is not None,
            "duplicates": settings.compares_documents,
            "repeated_paragraphs": settings.paragraphs is not None,
            "contamination": settings.contamination is not None,
        }
        return tuple(name for name, on in asked.items() if on)

    @property
    def annealed(self) -> list[str]:
        """The lenses that ask for a candidate to be annealed and evaluated."""
        return sorted(name for name, settings in self.project.lenses.items() if settings.anneal)

    @property
    def measured_attributes(self) -> list[str]:
        """The names of the attributes that are measured on documents."""
        return sorted(name for name, settings in self.project.attributes.items() if not inputs_of(settings))

    @property
    def derived_attributes(self) -> list[str]:
        """The names of the attributes that are made of other scores."""
        return sorted(name for name, settings in self.project.attributes.items() if inputs_of(settings))

    @property
    def attribute_code_version(self) -> str:
        return content_id({name: settings.version for name, settings in self.project.attributes.items()})

    @property
    def cascaded(self) -> list[str]:
        """The score lenses that ask for a cascade before the encoder."""
        return [name for name in self.score_lenses if self.settings(name).cascade is not None]

    def cascade_settings(self, lens: str) -> CascadeSettings:
        """Raises ProjectError where the lens asks for no cascade."""
        settings = self.settings(lens).cascade
        if settings is None:
            raise ProjectError(f"lens {lens!r} asks for no cascade; give it `cascade: {{}}` in the project file")
        return settings

    @property
    def lens_code_version(self) -> str:
        return content_id({name: lens.version for name, lens in self.lenses.items()})

    @property
    def curation_code_version(self) -> str:
        return content_id({name: settings.curation.version for name, settings in self.project.lenses.items()})

    @property
    def selection_code_version(self) -> str:
        strategies = {name: settings.version for name, settings in self.project.all_strategies.items()}
        return content_id({name: each.selection.version for name, each in self.project.lenses.items()}, strategies)

    @property
    def recipe_code_version(self) -> str:
        recipes = {name: settings.recipe.version for name, settings in self.project.lenses.items()}
        curated = any(settings.recipe.labels == "curated" for settings in self.project.lenses.values())
        return content_id(recipes, self.project.encoder.version, *([self.curation_code_version] if curated else []))


def load_graph(project: Project) -> Graph:
    """Load the enabled lenses. A bad folder of a lens that is not enabled is only told to the log.

    Raises ProjectError naming a lens that no library has, LensFolderError with file, line and reason for an enabled
    lens with faults, LensError where a library is no folder.
    """
    described = Path(project.target_folder)
    folders = [SHIPPED_LENSES, *map(Path, project.lens_folders)]
    library = load_lenses([*folders, described] if project.targets and described.is_dir() else folders)
    for name, faults in library.faults.items():
        if name in project.lenses:
            raise LensFolderError(name, faults)
        for fault in faults:
            LOG.warning("a lens that this project does not enable has a fault: %s", fault)
    known = {**_awaited(project, library.lenses), **library.lenses}
    if unknown := sorted(set(project.lenses) - set(known)):
        raise ProjectError(
            f"the project enables lenses {unknown} that no lens folder holds; known: {sorted(known)}. "
            "Add the folder, or list its library under lens_folders."
        )
    lenses = {name: _as_asked(known[name], project.lenses[name]) for name in sorted(project.lenses)}
    _refuse_filters_by_labels(project, lenses)
    return Graph(project, lenses)


def _refuse_filters_by_labels(project: Project, lenses: Mapping[str, Lens]) -> None:
    for name, settings in project.lenses.items():
        condition = settings.cutoff.condition
        asked = [*(parse(condition).names if condition else ()), *filter(None, [settings.population])]
        if labels := sorted({other for other in asked if other in lenses and lenses[other].kind == "label"}):
            raise ProjectError(f"the filter of lens {name!r} asks for {labels}, which give labels and have no scores")


def _awaited(project: Project, lenses: Mapping[str, Lens]) -> dict[str, Lens]:
    """The targets' lenses as they are before they are described: in the graph, and of no use to a rater."""
    return {
        name: replace(lenses[TARGET_MODEL], name=name, title=target.title, description="")
        for name, target in project.targets.items()
    }


def _as_asked(lens: Lens, settings: LensSettings) -> Lens:
    """The lens with what the project file says of it instead of the lens folder."""
    return replace(lens, mode=settings.mode) if settings.mode else lens
