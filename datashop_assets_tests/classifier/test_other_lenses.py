import hashlib

import numpy as np
import polars as pl

from datashop_assets.classifier.dataset import is_held_out
from datashop_assets.classifier.other_lenses import OtherLens, learnable
from datashop_assets_tests.classifier.lenses import lens


def shas(count: int) -> list[str]:
    return [hashlib.sha256(str(number).encode()).hexdigest()[:32] for number in range(count)]


def test_nothing_is_learnt_from_held_out_texts_failed_judgements_and_repeats():
    texts = shas(50)
    frame = pl.DataFrame({"text_sha": [*texts, texts[0]], "score": [None, *map(float, range(1, 50)), 5.0]})
    asked = []

    def vectors_for(rows: pl.DataFrame) -> np.ndarray:
        asked.extend(rows["text_sha"])
        return np.zeros((rows.height, 4), np.float32)

    examples = learnable(OtherLens(lens(), "rater", frame, {}), 0.2, vectors_for)
    free = [sha for sha in texts[1:] if not is_held_out(sha, 0.2)]
    assert sorted(asked) == sorted([*free, *([] if is_held_out(texts[0], 0.2) else [texts[0]])])
    assert len(examples) == len(asked) == len(set(asked))
    assert list(examples.targets) == list(examples.rated)
