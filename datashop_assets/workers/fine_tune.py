"""Worker: fine-tune one classifier. Run as `python -m datashop_assets.workers.fine_tune` by a launcher, through Dagster
Pipes.

What belongs here: reading the inputs that the asset left in files, reporting progress and the result. What does not:
training (`classifier/fine_tune.py`), launching (`resources/launchers.py`).

Extras: `base` (model folder), `examples` (parquet of `fine_tune.EXAMPLES`), `settings` (FineTuneSettings as a mapping),
`scale` (lowest and highest score), `seed`, `output` (model folder to make), and optionally `threads`. Reports the
fields of FineTuned.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import polars as pl

from datashop_assets.classifier.fine_tune import fine_tune
from datashop_assets.text_model_settings import FineTuneSettings
from datashop_assets.workers.parent import run_worker


def work(extras: Mapping[str, Any], say: Callable[[str], None]) -> Mapping[str, Any]:
    """Train, and return the result as plain values. Finished output is not trained again."""
    settings = FineTuneSettings.model_validate(extras["settings"])
    examples = pl.read_parquet(extras["examples"])
    validation = int(examples["validation"].sum())
    say(f"{extras['base']}: {examples.height - validation} texts to train on, {validation} to choose on")
    low, high = extras["scale"]
    done = fine_tune(
        Path(extras["base"]),
        examples,
        settings,
        (low, high),
        extras["seed"],
        Path(extras["output"]),
        say,
        extras.get("threads"),
    )
    if done.reused:
        say(f"{extras['output']} was already trained: nothing was done")
    return asdict(done)


if __name__ == "__main__":
    run_worker(work)
