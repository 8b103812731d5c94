"""Real texts of known worth that every environment holds: the language reference, and the licences of packages."""

import hashlib
import sysconfig
from pathlib import Path
from pydoc_data.topics import topics

import numpy as np
import polars as pl

TEACHING, BOILERPLATE = 4.0, 1.0


def labelled_texts(each: int = 55, noise: float = 0.5, seed: int = 0) -> pl.DataFrame:
    """Rows of shard, id, text, text_sha, chars, score: pages of the language reference at about 4, licences at about 1.

    Pages and licences of similar length are taken, so that length does not give the source away.
    """
    folder = Path(sysconfig.get_paths()["purelib"])
    files = [path for path in sorted(folder.glob("*.dist-info/**/LICEN[SC]E*")) if path.is_file()]
    licences = {path.read_text(errors="replace") for path in files}
    sources = {TEACHING: set(topics.values()), BOILERPLATE: licences}
    random = np.random.default_rng(seed)
    rows = []
    for score, texts in sources.items():
        chosen = sorted(text for text in texts if 500 <= len(text) <= 20_000)[:each]
        assert len(chosen) == each, f"only {len(chosen)} texts of score {score} are installed"
        rows += [(text, score + float(random.normal(0, noise))) for text in chosen]
    return pl.DataFrame(
        [
            ("crawl-00001", f"text-{row}", text, hashlib.sha256(text.encode()).hexdigest()[:32], len(text), score)
            for row, (text, score) in enumerate(rows)
        ],
        schema=["shard", "id", "text", "text_sha", "chars", "score"],
        orient="row",
    )
