"""The forward pass of a BERT-type encoder without padding.

What belongs here: packed rows through the model's own weights, and the last layer reduced to what the pooling reads.
What does not: products (`linears.py`), other architectures (`padded.py`).

All documents of a batch stand one after another in one matrix [tokens, hidden], as in ByteTransformer (Zhai et al.,
IPDPS 2023): only attention looks at one document at a time. Where the first token is pooled, the last layer is computed
for that row alone, from the keys and values of all: the same vector for 14 % fewer products in six layers.
"""

from collections.abc import Callable, Sequence
from typing import Any

from resources.encoders.linears import Kind, linear

# Layers of the same names and shapes; positions of the last two begin after the padding's.
FAMILIES = ("bert", "roberta", "xlm-roberta")
# oneDNN makes a kernel for every number of rows, 4 ms each: rows are filled up to a multiple of this.
ROWS = 64


def why_not_packed(config: Any) -> str | None:
    """Why a model of this configuration cannot be computed here, or None."""
    if config.model_type not in FAMILIES:
        return f"it is of type {config.model_type!r}, not one of {', '.join(FAMILIES)}"
    if getattr(config, "position_embedding_type", "absolute") != "absolute":
        return f"its positions are {config.position_embedding_type!r}"
    return "it is a decoder" if config.is_decoder else None


class PackedForward:
    """Documents' ids to pooled vectors, through a BERT-type model's weights on the model's device."""

    def __init__(self, model: Any, first_only: bool, kind: Kind) -> None:
        config = model.config
        self._embeddings, self._first_only = model.embeddings, first_only
        self._first_position = 0 if config.model_type == "bert" else config.pad_token_id + 1
        self._heads = config.num_attention_heads
        self._layers = [_Layer(each, config.hidden_act, kind) for each in model.encoder.layer]

    def __call__(self, documents: Sequence[Sequence[int]]) -> Any:
        """Vectors float32 [documents, hidden], not normalised: the first token's, or the mean of all."""
        import torch

        lengths = [len(ids) for ids in documents]
        rows = self._embed(documents, lengths)
        attend = attention(rows.device, rows.dtype, lengths, self._heads)
        for layer in self._layers[: -1 if self._first_only else None]:
            rows = layer.all_rows(rows, attend)
        if self._first_only:
            starts = torch.tensor([0, *lengths[:-1]], device=rows.device).cumsum(0)
            return self._layers[-1].some_rows(rows, starts, lengths, self._heads).float()
        whole = rows[: sum(lengths)].float()
        if rows.device.type == "cuda":  # one kernel for all documents, not one for each
            return torch.segment_reduce(whole, "mean", lengths=torch.tensor(lengths, device=rows.device), axis=0)
        return torch.stack([each.mean(0) for each in whole.split(lengths)])

    def _embed(self, documents: Sequence[Sequence[int]], lengths: Sequence[int]) -> Any:
        import torch

        parts = self._embeddings
        device = parts.word_embeddings.weight.device
        empty = -sum(lengths) % ROWS
        ids = torch.tensor([token for ids in documents for token in ids] + [0] * empty, device=device)
        counts = torch.tensor([*lengths, empty], device=device)
        starts = (counts.cumsum(0) - counts).repeat_interleave(counts)
        positions = torch.arange(len(ids), device=device) - starts
        positions[: sum(lengths)] += self._first_position
        rows = parts.word_embeddings(ids) + parts.position_embeddings(positions)
        return parts.LayerNorm(rows + parts.token_type_embeddings.weight[0])


class _Layer:
    """One layer over packed rows; the weights of queries, keys and values in one matrix."""

    def __init__(self, layer: Any, activation: str, kind: Kind) -> None:
        import torch

        own, out = layer.attention.self, layer.attention.output
        weights = [each.weight for each in (own.query, own.key, own.value)]
        biases = [each.bias for each in (own.query, own.key, own.value)]
        self._read = linear(kind, torch.cat(weights), torch.cat(biases))
        self._query = linear(kind, weights[0], biases[0])
        self._keys_and_values = linear(kind, torch.cat(weights[1:]), torch.cat(biases[1:]))
        self._mix, self._mixed = linear(kind, out.dense.weight, out.dense.bias), out.LayerNorm
        self._widen = linear(kind, layer.intermediate.dense.weight, layer.intermediate.dense.bias, activation)
        self._narrow, self._done = (
            linear(kind, layer.output.dense.weight, layer.output.dense.bias),
            layer.output.LayerNorm,
        )

    def all_rows(self, rows: Any, attend: Callable[[Any], Any]) -> Any:
        """Every row, [tokens, hidden]."""
        return self._rest(rows, attend(self._read(rows)))

    def some_rows(self, rows: Any, starts: Any, lengths: Sequence[int], heads: int) -> Any:
        """The first row of each document, [documents, hidden]; it attends to all rows of its document."""
        import torch
        from torch.nn.functional import scaled_dot_product_attention

        first, hidden = rows[starts], rows.shape[1]
        if rows.device.type == "cuda":
            return self._rest(first, self._one_call(first, rows, lengths, heads))
        queries = self._query(first).view(-1, heads, 1, hidden // heads)
        both = self._keys_and_values(rows).view(len(rows), 2, heads, hidden // heads).permute(1, 2, 0, 3)
        begun, seen = 0, []
        for query, length in zip(queries, lengths, strict=True):
            keys, values = both[:, :, begun : begun + length]
            seen.append(scaled_dot_product_attention(query[None], keys[None], values[None]).reshape(hidden))
            begun += length
        return self._rest(first, torch.stack(seen))

    def _one_call(self, first: Any, rows: Any, lengths: Sequence[int], heads: int) -> Any:
        """What the first rows attend to, [documents, hidden], in one call for all documents."""
        import torch
        from torch.nn.attention.varlen import varlen_attn

        hidden = rows.shape[1]
        both = self._keys_and_values(rows).view(len(rows), 2, heads, hidden // heads)
        queries = self._query(first).view(-1, heads, hidden // heads)
        each = torch.arange(len(lengths) + 1, device=rows.device, dtype=torch.int32)
        ends = torch.tensor([0, *lengths], device=rows.device).cumsum(0).to(torch.int32)
        seen: Any = varlen_attn(queries, both[:, 0], both[:, 1], each, ends, 1, max(lengths))
        return seen.reshape(len(lengths), hidden)

    def _rest(self, rows: Any, seen: Any) -> Any:
        middle = self._mixed(self._mix(seen) + rows)
        return self._done(self._narrow(self._widen(middle)) + middle)


def attention(device: Any, dtype: Any, lengths: Sequence[int], heads: int) -> Callable[[Any], Any]:
    """From packed queries, keys and values [tokens, 3 x hidden] to what each row attends to [tokens, hidden].

    A document a call on a processor; one call for all on a GPU in bfloat16, where the kernel for documents of different
    lengths exists.
    """
    import torch

    if device.type == "cuda" and dtype == torch.bfloat16:
        return _varlen(device, lengths, heads)
    return _one_by_one(lengths, heads)


def _one_by_one(lengths: Sequence[int], heads: int) -> Callable[[Any], Any]:
    from torch.nn.functional import scaled_dot_product_attention

    def attend(read: Any) -> Any:
        tokens, width = read.shape
        hidden = width // 3
        seen = read.new_zeros(tokens, hidden)
        begun = 0
        for length in lengths:
            here = slice(begun, begun + length)
            parts = read[here].view(1, length, 3, heads, hidden // heads).permute(2, 0, 3, 1, 4)
            seen[here] = scaled_dot_product_attention(*parts).transpose(1, 2).reshape(length, hidden)
            begun += length
        return seen

    return attend


def _varlen(device: Any, lengths: Sequence[int], heads: int) -> Callable[[Any], Any]:
    import torch
    from torch.nn.attention.varlen import varlen_attn

    empty = -sum(lengths) % ROWS
    every = [*lengths, empty] if empty else list(lengths)
    ends = torch.tensor([0, *every], device=device).cumsum(0).to(torch.int32)
    longest = max(every)

    def attend(read: Any) -> Any:
        tokens, width = read.shape
        queries, keys, values = read.view(tokens, 3, heads, width // 3 // heads).unbind(1)
        seen: Any = varlen_attn(queries, keys, values, ends, ends, longest, longest)
        return seen.reshape(tokens, width // 3)

    return attend
