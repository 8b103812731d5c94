"""One annealed model, from mixture to record: what is already there is not trained again.

What belongs here: the steps that control and candidate share. What does not: the choice of documents (`mixture.py`),
training itself (`train.py`, run by a worker).
"""

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from datashop_assets.annealing.mixture import Mixture
from datashop_assets.annealing.train import training_id
from datashop_assets.project import AnnealSettings
from datashop_assets.records import ANNEALED_MODELS
from datashop_assets.seams import Lake, Launcher, ModelStore


@dataclass(frozen=True)
class AnnealedModel:
    """A row of `annealed_models`. `mixture` and `losses` are parsed; `reused` says that nothing was trained now."""

    model: str
    role: str
    lens: str | None
    uri: str
    tokens: int
    mixture: Mapping[str, Any]
    losses: tuple[tuple[int, float], ...]
    trained_at: datetime
    reused: bool = False


@dataclass(frozen=True)
class Workshop:
    """Where models are trained and evaluated: who runs the workers, where they work, where results are kept.

    `base_model` gives the content id of the model to anneal and the folder or hub name it is loaded from; `work` is a
    local folder for the workers' files, which a killed run leaves and the next one goes on from.
    """

    launcher: Launcher
    models: ModelStore
    base_model: Callable[[], tuple[str, Path | str]]
    work: Path


def annealed_models(lake: Lake, role: str, lens: str | None) -> list[AnnealedModel]:
    """The annealed models of a role (and lens), oldest first."""
    same_lens = pl.col("lens").is_null() if lens is None else pl.col("lens") == lens
    rows = lake.scan(ANNEALED_MODELS).filter(pl.col("role") == role, same_lens).sort("trained_at").collect()
    return [
        AnnealedModel(
            **{
                **row,
                "mixture": json.loads(row["mixture"]),
                "losses": tuple((step, loss) for step, loss in json.loads(row["losses"])),
            }
        )
        for row in rows.to_dicts()
    ]


def newest_model(lake: Lake, role: str, lens: str | None) -> AnnealedModel:
    """Raises LookupError saying which asset makes one."""
    models = annealed_models(lake, role, lens)
    if not models:
        raise LookupError(
            f"there is no {role} model{f' for lens {lens!r}' if lens else ''}; materialize `{role}_model`"
        )
    return models[-1]


def produce_model(
    lake: Lake,
    workshop: Workshop,
    context: Any,
    *,
    role: str,
    lens: str | None,
    mixture: Mixture,
    comparable: Mapping[str, Any],
    settings: AnnealSettings,
    lineage: Mapping[str, Any],
) -> AnnealedModel:
    """Train on the mixture in a worker, store the model and record it; or return the record that is there.

    `comparable` says what the model can be compared with; it is kept beside the mixture's figures. Raises what the
    launcher raises where the worker fails.
    """
    base_id, base_place = workshop.base_model()
    model = training_id(base_id, mixture.id, settings)
    known = annealed_models(lake, role, lens)
    for made in reversed(known):
        if made.model == model:
            if _is_lost(workshop.models, made):
                break  # the same inputs make it again
            said = {**made.mixture, **comparable}
            if made is not known[-1] or said != made.mixture:  # the newest again, or newly comparable
                made = replace(made, mixture=said, trained_at=datetime.now(UTC))
                _record(lake, made, lineage)
            return replace(made, reused=True)
    folder = workshop.work / model
    folder.mkdir(parents=True, exist_ok=True)
    mixture.documents.write_parquet(folder / "mixture.parquet")
    result = workshop.launcher.run(
        "anneal",
        {
            "model": str(base_place),
            "mixture": str(folder / "mixture.parquet"),
            "settings": settings.model_dump(mode="json"),
            "output": str(folder / "model"),
        },
        context,
    )
    made = AnnealedModel(
        model=model,
        role=role,
        lens=lens,
        uri=workshop.models.put(f"annealed/{model}", folder / "model"),
        tokens=result["tokens"],
        mixture={
            "id": mixture.id,
            "tokens": mixture.tokens,
            "epochs": mixture.epochs,
            "documents": mixture.documents.height,
            **comparable,
        },
        losses=tuple((step, loss) for step, loss in result["losses"]),
        trained_at=datetime.now(UTC),
    )
    _record(lake, made, lineage)
    shutil.rmtree(folder)
    return made


def _is_lost(models: ModelStore, made: AnnealedModel) -> bool:
    """Whether the files of a recorded model are gone. Fetching is no waste: the evaluation does it next."""
    try:
        models.fetch(made.uri)
    except FileNotFoundError:
        return True
    return False


def _record(lake: Lake, made: AnnealedModel, lineage: Mapping[str, Any]) -> None:
    row = {name: getattr(made, name) for name in ANNEALED_MODELS.columns}
    row |= {"mixture": json.dumps(made.mixture), "losses": json.dumps(made.losses)}
    lake.commit(ANNEALED_MODELS, pl.DataFrame([row], schema=ANNEALED_MODELS.schema), None, lineage)
