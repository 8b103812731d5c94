"""What runs left behind on disk and in the model store: what was kept for a cell that nobody waits for, and models that
no record names.

What belongs here: which of them go. What does not: tables (`tidying.py`), runs (`old_runs.py`).
"""

import shutil
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import polars as pl

from datashop_assets.attribute_settings import RaterAttribute
from datashop_assets.attributes.rated import FORMER_STAGE, RATED_ATTRIBUTES
from datashop_assets.graph import Graph
from datashop_assets.housekeeping.chores import Chore
from datashop_assets.records import ANNEALED_MODELS, CLASSIFIERS
from datashop_assets.scoring.tables import CASCADES
from datashop_assets.seams import Lake
from resources.lake import LakeError
from resources.maintenance import errors_named
from resources.model_store import StoredModel
from resources.object_store import ObjectStoreError

Versions = Mapping[str, Mapping[str, str]]

# Results of evaluations stand there to be used again.
KEPT_WORK = ("evaluation",)
# What a run has spent counts against its budget until it is committed.
NEVER = ("spent",)


class ModelShelf(Protocol):
    """A model store that can say what it holds."""

    def place(self, uri: str) -> str: ...

    def stored(self) -> Sequence[StoredModel]: ...

    def remove(self, name: str) -> None: ...


def judged_through(graph: Graph) -> dict[str, dict[str, str]]:
    """Stage of kept judgements to lens, or to attribute that a rater is asked for, to the lens's version now.

    What is kept there was paid for.
    """
    lenses = {name: lens.version for name, lens in graph.lenses.items()}
    asked = graph.project.attributes.items()
    rated = {name: lenses[given.lens] for name, given in asked if isinstance(given, RaterAttribute)}
    return {"annotations": lenses, "exemplars": lenses, RATED_ATTRIBUTES: rated}


def stale_folders(staging: Path, versions: Versions, older_than_s: float) -> Iterator[tuple[Path, str]]:
    """Folders of kept rows that nothing will pick up, and why: nothing in them changed for `older_than_s`.

    `staging` holds <stage>/<names...>/<files>, and `versions` are those of `judged_through`. Judgements,
    <stage>/<lens or attribute>/<lens version>/..., go only where the project asks through another version now. Those of
    a lens or an attribute that the project does not have, or has switched off, stay: it may come back.
    """
    for folder in sorted(path for path in staging.glob("*/**") if path.is_dir()):
        files = [path for path in folder.iterdir() if path.is_file()]
        stage, *names = folder.relative_to(staging).parts
        if not files or stage in NEVER or _age(files) < older_than_s:
            continue
        if stage == FORMER_STAGE and _hold_judgements(files):
            stage = RATED_ATTRIBUTES
        if stage not in versions:
            yield folder, "kept for a cell that no run came back to"
        elif len(names) >= 2 and versions[stage].get(names[0], names[1]) != names[1]:
            yield folder, f"judgements through an earlier version of {names[0]}"


def clear_staging(staging: Path, versions: Versions, older_than_s: float, dry_run: bool) -> Iterator[Chore]:
    """Remove the stale folders, and with them the folders that this leaves empty."""
    for folder, why in stale_folders(staging, versions, older_than_s):
        yield _removed(folder, f"staging/{folder.relative_to(staging).as_posix()}", why, dry_run)
        parent = folder.parent
        while not dry_run and parent != staging and parent.is_dir() and not any(parent.iterdir()):
            parent.rmdir()
            parent = parent.parent


def clear_work(work: Path, older_than_s: float, dry_run: bool) -> Iterator[Chore]:
    """Remove what workers left of runs that nobody went on with: folders in which nothing changed for so long."""
    folders = sorted(path for path in work.iterdir() if path.is_dir()) if work.is_dir() else []
    for folder in (each for each in folders if each.name not in KEPT_WORK):
        files = [path for path in folder.rglob("*") if path.is_file()]
        if _age(files or [folder]) >= older_than_s:
            yield _removed(folder, f"work/{folder.name}", "a worker's files that no run came back to", dry_run)


def clear_models(lake: Lake, models: ModelShelf, older_than_s: float, dry_run: bool) -> Iterator[Chore]:
    """Remove models that no record names: of runs that were killed between storing one and recording it.

    Where the lake records no model at all, or cannot say which, none goes: it may be the wrong lake.
    """
    try:
        known = {models.place(uri) for uri in _recorded(lake)}
        there = models.stored()
    except (LakeError, ObjectStoreError, OSError) as error:
        yield Chore("models", "remove", 0, 0, False, f"left alone: {error}")
        return
    nameless = [each for each in there if models.place(each.name) not in known]
    old = [each for each in nameless if time.time() - each.modified >= older_than_s]
    if old and not known:
        yield Chore(
            "models", "remove", 0, 0, False, f"{len(old)} left alone: this lake records no model; is it theirs?"
        )
        return
    for stored in old:
        yield _removed_model(models, stored, dry_run)


def _recorded(lake: Lake) -> Collection[str]:
    """Where the recorded models are. Raises LakeError where a table cannot be read."""
    found: set[str] = set()
    for table in (CLASSIFIERS, ANNEALED_MODELS, CASCADES):
        with errors_named(table.name):
            found.update(lake.scan(table).select(pl.col("uri")).collect()["uri"].drop_nulls())
    return found


def _removed_model(models: ModelShelf, stored: StoredModel, dry_run: bool) -> Chore:
    what = f"models/{stored.name}"
    try:
        if not dry_run:
            models.remove(stored.name)
    except (ObjectStoreError, OSError) as error:
        return Chore(what, "remove", 0, 0, False, f"left alone: {error}")
    return Chore(what, "remove", stored.files, stored.bytes, not dry_run, "no record names it")


def _hold_judgements(files: Collection[Path]) -> bool:
    """Whether they are a rater's, or may be: scores by a model name no rater. What cannot be read may be."""
    try:
        return any("rater" in pl.read_parquet_schema(file) for file in files if file.suffix == ".parquet")
    except (pl.exceptions.PolarsError, OSError):
        return True


def _age(files: Collection[Path]) -> float:
    """Seconds since any of the files changed."""
    return time.time() - max(file.stat().st_mtime for file in files)


def _removed(folder: Path, name: str, why: str, dry_run: bool) -> Chore:
    files = [path for path in folder.rglob("*") if path.is_file()]
    size = sum(file.stat().st_size for file in files)
    if not dry_run:
        shutil.rmtree(folder, ignore_errors=True)
    return Chore(name, "remove", len(files), size, not dry_run and not folder.exists(), why)
