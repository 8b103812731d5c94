"""Worker: anneal one model. Run as `python -m datashop_assets.workers.anneal` by a launcher, through Dagster Pipes.

What belongs here: reading the inputs that the asset left in files, reporting progress and the result.
What does not: training (`annealing/train.py`), launching (`resources/launchers.py`).

Extras: `model` (folder or hub name), `mixture` (parquet of MIXTURE_SCHEMA), `settings` (AnnealSettings as a
mapping; its `document_tokens` is what the mixture was counted with), `output` (model folder to make), and optionally
`threads`. Reports `output`, `losses`, `tokens`, `seconds`, `resumed_from`, `reused`.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import polars as pl

from datashop_assets.annealing.packing import DocumentEncoder, pack
from datashop_assets.annealing.train import StepLog, anneal
from datashop_assets.project import AnnealSettings
from datashop_assets.workers.parent import run_worker


def work(extras: Mapping[str, Any], say: Callable[[str], None]) -> Mapping[str, Any]:
    """Pack the mixture, train, and return the result as plain values. Finished output is not trained again."""
    settings = AnnealSettings.model_validate(extras["settings"])
    output = Path(extras["output"])
    encoder = DocumentEncoder(extras["model"], settings.document_tokens)
    sequences = pack(pl.read_parquet(extras["mixture"]), encoder, settings.sequence_length)
    say(f"{sequences.shape[0]} sequences of {sequences.shape[1]} tokens, {settings.batch_size} a step")

    def progress(log: StepLog) -> None:
        say(
            f"step {log.step}/{log.steps}: loss {log.loss:.4f} nats a token, learning rate {log.learning_rate:.2e}, "
            f"{log.tokens_per_second:.0f} tokens/s"
        )

    result = anneal(extras["model"], sequences, settings, output, progress, extras.get("threads"))
    if result.reused:
        say(f"{output} was already trained: nothing was done")
    return {"output": str(output), **asdict(result)}


if __name__ == "__main__":
    run_worker(work)
