"""What a classifier of one lens learns from the ratings of other lenses.

What belongs here: which of their rows, and their identity among a classifier's inputs. What does not: reading a lens's
ratings (`produce.py`), learning from several lenses (`multi_lens.py`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from datashop_assets.classifier.dataset import is_held_out
from datashop_assets.classifier.recipes import Examples
from datashop_assets.rating.lens import Lens


@dataclass(frozen=True, eq=False)
class OtherLens:
    """The judgements of a rater through another lens (shard, id, text_sha, score), and their versions by shard; `left`
    names those that are not among them, because the lens's population no longer keeps their documents, and `notes` says
    how many they are."""

    lens: Lens
    rater: str
    rows: pl.DataFrame
    versions: Mapping[str, str]
    left: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def identity(self) -> tuple[Any, ...]:
        """Equal where there is the same to learn."""
        return self.lens.name, self.lens.version, self.rater, dict(self.versions), *self.left


def learnable(
    other: OtherLens, held_out_share: float, vectors_for: Callable[[pl.DataFrame], NDArray[np.float32]]
) -> Examples:
    """The other lens's ratings as examples: each text once, and none that is held out, whichever lens it was rated for.

    Texts are held out by their hash alone, so they are the same for every lens. A text on which this lens's classifier
    is chosen may be among them, with its score on the other lens.
    """
    rated = other.rows.drop_nulls("score").unique("text_sha", keep="first", maintain_order=True)
    kept = rated.filter(
        pl.Series([not is_held_out(sha, held_out_share) for sha in rated["text_sha"]], dtype=pl.Boolean)
    )
    scores = kept["score"].cast(pl.Float64).to_numpy()
    return Examples(vectors_for(kept), scores, np.ones(len(scores)), scores)
