"""The `data` group of the configuration: where the rows are, how they are read, and what of them is supervised."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from tasks.artifact import Record

Format = Literal["auto", "text", "chat", "completions", "alpaca", "sharegpt", "preference"]
Supervise = Literal["assistant", "last", "completion", "all"]
Truncate = Literal["error", "drop", "keep_start", "keep_end", "split"]


class Data(Record):
    """What a run is trained on.

    Args:
        train: a file (.jsonl, .jsonl.gz, .json, .csv, .parquet) or the id of a hub dataset, `owner/name` or
            `owner/name:config`, of which the split `train` is read.
        valid: like `train` (split `validation`); without one, a deterministic share of train is held out.
        test: like `train` (split `test`); nothing is held out for it.
        format: `auto` detects each row's format, any other name holds all rows to it.
        supervise: which turns are targets. `assistant`: every assistant turn; `last`: the last one; `completion`:
            those after the last user turn; `all`: every token. Rows of plain text are supervised as a whole.
        max_tokens: the longest example, in tokens; None for no limit.
        truncate: what happens to a longer one: `error`; `drop`; `keep_start` or `keep_end` of it; `split` (only rows
            of plain text) into pieces that overlap by one token, so that each token is a target once.
        template: a Jinja file to use instead of the tokenizer's own chat template.
        template_kwargs: variables for the template, such as `enable_thinking`.
        columns: those under other names, ours to theirs, such as `{"prompt": "frage", "completion": "antwort"}`.
        valid_share: the share of train held out where `valid` is None; 0 for none.
        valid_rows: the most rows held out where `valid` is None.
        strict: stop at the first row that cannot be trained on as meant, with file:line and reason; false drops such
            rows and counts them. A validation row that also stands in train is refused when strict, else counted.

    Example:
        >>> Data.model_validate_json('{"train": "chat.jsonl", "max_tokens": 2048}').supervise
        'assistant'
    """

    train: Annotated[str, Field(min_length=1)]
    valid: Annotated[str, Field(min_length=1)] | None = None
    test: Annotated[str, Field(min_length=1)] | None = None
    format: Format = "auto"
    supervise: Supervise = "assistant"
    max_tokens: Annotated[int, Field(ge=2)] | None = None
    truncate: Truncate = "error"
    template: str | None = None
    template_kwargs: dict[str, Any] = Field(default_factory=dict)
    # Not "keys": dict(record), which Prefect calls, would take it for a method.
    columns: dict[str, str] = Field(default_factory=dict)
    valid_share: Annotated[float, Field(ge=0, lt=1)] = 0.05
    valid_rows: Annotated[int, Field(ge=0)] = 1000
    strict: bool = True

    @model_validator(mode="after")
    def _columns_are_ours(self) -> "Data":
        known = {"text", "messages", "prompt", "completion", "system", "tools", "instruction", "input", "output"}
        known |= {"conversations", "chosen", "rejected"}
        if unknown := sorted(set(self.columns) - known):
            raise ValueError(f"columns: {unknown} are no names of ours; choose from {sorted(known)}")
        return self
