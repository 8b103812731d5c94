"""What each document alone would do to a model's adapters: gradients, and the step that Adam would take.

What belongs here: gradients by document, Adam's preconditioning, projected features of unit length. What does not: the
adapters and their warm-up (`lm_lora.py`), the projection (`lm_projection.py`), what features are compared with
(`less.py`).
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datashop_assets.selection.lm_lora import BETAS, EPSILON, Checkpoint
from datashop_assets.selection.lm_projection import Projection
from datashop_assets.selection.lm_texts import TokenBatches
from datashop_assets.selection.perplexity import token_nlls
from datashop_assets.selection.pool import Rows

# Gradients gathered before they are projected: the projection's matrix is made anew for each lot.
GATHERED_BYTES = 2**28
# Of documents taken at a time: preconditioning makes some copies of them.
BATCH_BYTES = 2**25


def gradient_batch_rows(parameters: Mapping[str, Any]) -> int:
    """How many documents' gradients fit into BATCH_BYTES: 9 with the default adapters of SmolLM2-135M."""
    values = sum(int(parameter.numel()) for parameter in parameters.values())
    return max(1, BATCH_BYTES // (4 * values))


def features(
    model: Any, checkpoint: Checkpoint, documents: TokenBatches, projection: Projection, *, adam: bool
) -> Iterator[tuple[Rows, NDArray[np.float32]]]:
    """Rows and their projected gradients at a checkpoint, of unit length: float32 of shape [rows, dimension].

    With `adam`, of the step that Adam would take for the document alone. nan where a gradient is zero or not finite.
    """
    rows: list[Rows] = []
    gathered: list[NDArray[np.float32]] = []
    for batch in documents:
        found = gradients(model, checkpoint.parameters, batch.ids, batch.real)
        rows.append(batch.rows)
        gathered.append((adam_direction(found, checkpoint) if adam else found).numpy())
        if sum(lot.nbytes for lot in gathered) >= GATHERED_BYTES:
            yield np.concatenate(rows), _unit(projection(np.concatenate(gathered)))
            rows, gathered = [], []
    if rows:
        yield np.concatenate(rows), _unit(projection(np.concatenate(gathered)))


def gradients(model: Any, parameters: Mapping[str, Any], ids: Any, real: Any) -> Any:
    """The gradient of each document's mean token loss by the parameters: float32 of shape [rows, parameters].

    The parameters one after another in their mapping's order. A backward pass for each document: all in one
    (`torch.func.vmap`) took as long on a CPU (SmolLM2-135M, 10 documents of 128 tokens: 14 CPU seconds against 11) and
    4 MB more a token.
    """
    import torch
    from torch.func import functional_call

    leaves = {name: parameter.detach().requires_grad_() for name, parameter in parameters.items()}
    found = torch.empty((len(ids), sum(leaf.numel() for leaf in leaves.values())))
    for row in range(len(ids)):
        tokens = ids[row][real[row]].unsqueeze(0)
        logits = functional_call(model, leaves, (), {"input_ids": tokens, "use_cache": False}).logits
        by_leaf = torch.autograd.grad(token_nlls(logits, tokens).mean(), list(leaves.values()))
        found[row] = torch.cat([gradient.flatten() for gradient in by_leaf])
    return found


def adam_direction(gradients: Any, checkpoint: Checkpoint) -> Any:
    """What Adam would step along, in units of the learning rate, if a gradient came next: of the gradients' shape.

    The moments with the gradient in them, corrected for their start at zero; the negative of what `torch.optim.Adam`
    adds to the parameters at learning rate 1.
    """
    first, second = BETAS
    step = checkpoint.steps + 1
    mean = (first * checkpoint.mean + (1 - first) * gradients) / (1 - first**step)
    square = (second * checkpoint.square + (1 - second) * gradients**2) / (1 - second**step)
    return mean / (square.sqrt() + EPSILON)


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = np.full_like(vectors, np.nan)
    np.divide(vectors, lengths, out=unit, where=np.isfinite(lengths) & (lengths > 0))
    return unit
