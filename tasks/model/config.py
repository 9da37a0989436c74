"""Settings of the base model: where it is, its dtype, its quantization."""

from typing import Literal

from pydantic import Field

from tasks.artifact import Record


class Model(Record):
    """The base model of a run.

    Attributes:
        path: a local folder in the Hugging Face or mlx-lm layout, or a hub id such as `Qwen/Qwen3-0.6B`.
        revision: the branch, tag or commit of a hub id.
        dtype: what the floating-point parameters are cast to; `auto` keeps the file's.
        quantize: bits per weight to quantize the base to at load (QLoRA); None keeps the file's weights.
        group_size: weights that share a scale when `quantize` is set.
    """

    path: str = Field(min_length=1)
    revision: str | None = None
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    quantize: Literal[2, 3, 4, 5, 6, 8] | None = None
    group_size: Literal[32, 64, 128] = 64
