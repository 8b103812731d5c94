"""A curation: from a pool of rated documents to corrected scores and the report on its raters.

What belongs here: the order of the steps, and what is done where one is not possible. What does not: the steps
(`neighbours.py`, `fitting.py`, `correction.py`, `trial.py`), tables (`pool.py`, `produce.py`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from datashop_assets.curation.classes import MOST_CLASSES, every_level
from datashop_assets.curation.correction import Correction
from datashop_assets.curation.fitting import Corrected, Fitted, corrected, fit_raters, plain_scores
from datashop_assets.curation.neighbours import Neighbourhood, has_direction, neighbourhood
from datashop_assets.curation.pool import RatedPool
from datashop_assets.curation.report import Neighbour, RaterFit, Report, Suspicious, is_applied
from datashop_assets.curation.transition import PoolTooSmallError, least_texts
from datashop_assets.curation.trial import prediction_gain
from datashop_assets.project import CurationSettings
from datashop_assets.rating.lens import Lens

SUSPICIOUS_ROWS = 20
SHOWN_NEIGHBOURS = 3
EXCERPT_CHARS = 160
# The texts of some rows of a pool, cut to so many characters.
Excerpts = Callable[[pl.DataFrame, int], Sequence[str]]


@dataclass(frozen=True)
class Curation:
    """`rows`: those of the pool with score, raters, wrong, suggested, confidence, curated_score, changed, rareness."""

    rows: pl.DataFrame
    report: Report


def curate(
    pool: RatedPool, lens: Lens, encoder: str, settings: CurationSettings, names: Sequence[str], excerpts: Excerpts
) -> Curation:
    """The corrected scores of the pool's documents; `names` are those of its raters, for people.

    Where the pool is too small for an estimate the scores stay as they are, and the report says how many texts are
    needed. They stay too where heads trained on the corrected ones rank held-out ratings worse (`trial.py`). Documents
    whose vector is zero or not finite have no neighbours: they keep their scores.
    """
    usable = has_direction(pool.vectors)
    scores = pool.scores[usable]
    near, fitted, made, gain = None, None, None, None
    fallback: str | None = None
    texts = pool.rows["text_sha"].filter(pl.Series(usable)).to_list()
    try:
        near = neighbourhood(
            pool.vectors[usable],
            texts,
            settings.neighbours,
            twin_distance=settings.twin_distance,
        )
        fitted = fit_raters(scores, near, lens, names)
        made = corrected(scores, near, fitted, settings.least_confidence)
        gain = prediction_gain(scores, pool.vectors[usable], texts, near, fitted, names, settings.least_confidence)
    except PoolTooSmallError as error:
        fallback = str(error)
    found = made.found if made else None
    rows = _with_corrections(pool, usable, near, made, applied=is_applied(gain))
    classes = fitted.classes if fitted else every_level(lens.low, lens.high)
    kept = rows["score"].to_numpy(), rows["curated_score"].to_numpy()
    before, after = (np.bincount(every_level(lens.low, lens.high).of(each), minlength=_levels(lens)) for each in kept)
    counted = np.bincount(classes.of(kept[0]), minlength=len(classes)) / max(1, rows.height)
    prior = found.prior if found else counted
    report = Report(
        lens=lens.name,
        lens_version=lens.version,
        encoder=encoder,
        rows=rows.height,
        texts=len(near.nearest) if near else 0,
        without_score=pool.without_score,
        outdated=pool.outdated,
        without_direction=int((~usable).sum()),
        neighbours=settings.neighbours,
        recall=near.recall if near else None,
        twins_missed=near.twins_missed if near else None,
        levels=tuple(range(lens.low, lens.high + 1)),
        classes=classes.names,
        texts_for_every_level=least_texts(min(MOST_CLASSES, int((before > 0).sum()))),
        raters=_fits(fitted, found, names),
        left_out=dict(fitted.left_out) if fitted else {},
        fallback=fallback,
        power=found.power if found else None,
        gain=gain,
        prior_before=tuple(counted.tolist()),
        prior_after=tuple(prior.tolist()),
        before=tuple(before.tolist()),
        after=tuple(after.tolist()),
        flagged=int((rows["wrong"] > 0.5).sum()),
        changed=int(rows["changed"].sum()),
        suspicious=_suspicious(rows, usable, near, excerpts) if found and near else (),
    )
    return Curation(rows, report)


def _levels(lens: Lens) -> int:
    return lens.high - lens.low + 1


def _with_corrections(
    pool: RatedPool, usable: NDArray[np.bool_], near: Neighbourhood | None, made: Corrected | None, *, applied: bool
) -> pl.DataFrame:
    """The pool's rows with everything that is known of their scores; null where that is nothing. Suggestions become
    scores where they are `applied`."""
    score = plain_scores(pool.scores)
    unknown = np.full(len(score), np.nan)
    wrong, suggested, confidence, rareness = unknown.copy(), unknown.copy(), unknown.copy(), unknown.copy()
    changed, curated = np.zeros(len(score), bool), score.copy()
    if near is not None:
        rareness[usable] = near.rareness
    if made is not None:
        known = ~np.isnan(made.suggested)
        wrong[usable] = np.where(known, made.found.wrong, np.nan)
        suggested[usable] = made.suggested
        confidence[usable] = np.where(known, made.found.confidence, np.nan)
        if applied:
            changed[usable] = made.changed
            curated[usable] = made.scores
    return pool.rows.with_columns(
        pl.Series("score", score),
        pl.Series("raters", (~np.isnan(pool.scores)).sum(axis=1), pl.Int64),
        pl.Series("wrong", wrong),
        pl.Series("suggested", suggested),
        pl.Series("confidence", confidence),
        pl.Series("curated_score", curated),
        pl.Series("changed", changed),
        pl.Series("rareness", rareness),
    ).with_columns(pl.col("wrong", "suggested", "confidence", "rareness").fill_nan(None))


def _fits(fitted: Fitted | None, found: Correction | None, names: Sequence[str]) -> tuple[RaterFit, ...]:
    if fitted is None or found is None:
        return ()
    apart = np.abs(np.subtract.outer(np.arange(len(fitted.classes)), np.arange(len(fitted.classes))))
    return tuple(
        RaterFit(
            rater=names[number],
            texts=made.texts,
            transition=tuple(tuple(line) for line in made.rater.tolist()),
            prior=tuple(made.prior.tolist()),
            rated=tuple(made.rated.tolist()),
            right=float(found.prior @ np.diag(made.rater)),
            distance=float(found.prior @ (made.rater * apart).sum(axis=1)),
            steps=made.steps,
            converged=made.converged,
            dominant=made.dominant,
        )
        for number, made in zip(fitted.raters, fitted.transitions, strict=True)
    )


def _suspicious(
    rows: pl.DataFrame, usable: NDArray[np.bool_], near: Neighbourhood, excerpts: Excerpts
) -> tuple[Suspicious, ...]:
    """The rows that are most probably wrong, one of each group of twins, with the texts that say so."""
    among = rows.filter(pl.Series(usable)).with_columns(group=pl.Series(near.group))
    heads = among.unique("group", keep="first", maintain_order=True).sort("group")
    worst = (
        among.filter(pl.col("wrong") > 0.5)
        .sort("wrong", "shard", "id", descending=[True, False, False])
        .unique("group", keep="first", maintain_order=True)
        .head(SUSPICIOUS_ROWS)
    )
    groups = worst["group"].to_numpy()
    beside = heads[near.nearest[groups, :SHOWN_NEIGHBOURS].ravel()]
    address = ["shard", "id", "text_sha"]
    texts = list(excerpts(pl.concat([worst.select(address), beside.select(address)]), EXCERPT_CHARS))
    neighbours = [
        Neighbour(f"{row['shard']}/{row['id']}", row["score"], float(distance), text)
        for row, distance, text in zip(
            beside.to_dicts(),
            near.distance[groups, :SHOWN_NEIGHBOURS].ravel(),
            texts[worst.height :],
            strict=True,
        )
    ]
    shown = min(SHOWN_NEIGHBOURS, near.nearest.shape[1])
    return tuple(
        Suspicious(
            document=f"{row['shard']}/{row['id']}",
            score=row["score"],
            suggested=row["suggested"],
            wrong=row["wrong"],
            confidence=row["confidence"],
            text=texts[number],
            neighbours=tuple(neighbours[number * shown : (number + 1) * shown]),
        )
        for number, row in enumerate(worst.to_dicts())
    )
