"""The `data` group of the configuration: the sources of the rows, how they are read, and what is supervised."""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from tasks.artifact import Record
from tasks.data.format.formats import Format
from tasks.data.source.file_names import files_of, is_pattern
from tasks.data.sources import Columns, Encoding, Source, TextRows

Supervise = Literal["assistant", "last", "completion", "all"]
Truncate = Literal["error", "drop", "keep_start", "keep_end", "split"]
Name = Annotated[str, Field(min_length=1)]
# Told apart by their form, so that a mistake is said once and not for each form; the tags are those pydantic itself
# would put into the place of an error.
One = Annotated[
    Annotated[Name, Tag("str")] | Annotated[Source, Tag("[record]")],
    Discriminator(lambda given: "[record]" if isinstance(given, dict | Source) else "str"),
]
Sources = Annotated[
    Annotated[Name, Tag("str")] | Annotated[tuple[One, ...], Tag("[list]")],
    Discriminator(lambda given: "[list]" if isinstance(given, list | tuple) else "str"),
]

SPLITS = {"train": "train", "valid": "validation", "test": "test"}
"""Our splits, and the split of a hub dataset that each is read from where its source does not name one."""


class Data(Record):
    """What a run is trained on.

    Args:
        train: a file (.jsonl, .json, .csv, .parquet, .txt; each also as .gz, .bz2, .xz or .zst), a pattern such as
            `chat-*.jsonl`, a folder, or the id of a hub dataset, `owner/name` or `owner/name:config`, of which the
            split `train` is read; or a list of such, each one a string or a `Source` such as
            `{path: chat.jsonl, weight: 3}`. Of a folder, the files named after the split are read (`train.jsonl`,
            `train-00000-of-00002.parquet`, `train/a.jsonl`), or what `save_to_disk` of `datasets` wrote there.
        valid: like `train` (split `validation`), without weights; without one, the validation files of the folder
            that `train` is, or else a deterministic share of train is held out.
        test: like `valid` (split `test`); nothing is held out for it.
        mix: what the weights of train's sources are shares of: `examples` or `tokens`.
        repeat: how a mixture comes to its shares. False: nothing stands in it twice, and the surplus of the sources
            that are large for their share is left out. True: nothing is left out, and the sources that are small for
            their share are repeated. Both are counted, source by source, in `SplitStats.sources`.
        format: `auto` detects each row's format, any other name holds all rows to it.
        supervise: which turns are targets. `assistant`: every assistant turn; `last`: the last one; `completion`:
            those after the last user turn; `all`: every token. Rows of plain text are supervised as a whole.
        max_tokens: the longest example, in tokens; None for no limit.
        truncate: what happens to a longer one: `error`; `drop`; `keep_start` or `keep_end` of it; `split` (only rows
            of plain text) into pieces that overlap by one token, so that each token is a target once.
        template: a Jinja file to use instead of the tokenizer's own chat template.
        template_kwargs: variables for the template, such as `enable_thinking`.
        columns: those under other names, ours to theirs, such as `{"prompt": "frage", "completion": "antwort"}`.
        ignore: columns, and keys of messages, that are known to be of no use, such as `[context]`: without it a strict
            run stops at one that no format reads and that seems to matter.
        dedup: `exact` leaves out every row whose tokens are those of an earlier row of its split; None leaves out none.
        text_rows: what a row of a .txt file is: the whole `file`, a `paragraph` (up to a blank line), or a `line`.
        encoding: of files of text, such as `latin-1` or `utf-16-le`; None for UTF-8, or for what a byte order mark
            at the beginning of the file proves. It is never guessed.
        valid_share: the share of train held out where `valid` is None; 0 for none.
        valid_rows: the most rows held out where `valid` is None.
        strict: stop at the first row that cannot be trained on as meant, with file:line and reason; false drops such
            rows and counts them. A validation row that also stands in train is refused when strict, else counted.
        allow_lost: train on rows of which the chat template leaves something out (tool calls, tools, a message), as
            far as it writes them, and count them; false takes them for rows that cannot be trained on as meant.
        workers: processes that tokenize a large source; None for one a core, eight at most; 0 for none but the run's
            own. What they make is the same, however many there are.

    Example:
        >>> Data.model_validate_json('{"train": "chat.jsonl", "max_tokens": 2048}').supervise
        'assistant'
        >>> mixed = Data.model_validate_json('{"train": ["a.jsonl", {"path": "b.jsonl", "weight": 3}]}')
        >>> [source.weight for source in mixed.sources("train")]
        [None, 3.0]
    """

    train: Sources
    valid: Sources | None = None
    test: Sources | None = None
    mix: Literal["examples", "tokens"] = "examples"
    repeat: bool = False
    format: Format = "auto"
    supervise: Supervise = "assistant"
    max_tokens: Annotated[int, Field(ge=2)] | None = None
    truncate: Truncate = "error"
    template: str | None = None
    template_kwargs: dict[str, Any] = Field(default_factory=dict)
    # Not "keys": dict(record), which Prefect calls, would take it for a method.
    columns: Columns = Field(default_factory=dict)
    ignore: tuple[Name, ...] = ()
    dedup: Literal["exact"] | None = None
    text_rows: TextRows = "file"
    encoding: Encoding | None = None
    valid_share: Annotated[float, Field(ge=0, lt=1)] = 0.05
    valid_rows: Annotated[int, Field(ge=0)] = 1000
    strict: bool = True
    allow_lost: bool = False
    workers: Annotated[int, Field(ge=0)] | None = None

    def sources(self, split: str) -> tuple[Source, ...]:
        """Lists the sources of a split, one for each file, each with everything that it says and `data` says for it.

        Args:
            split: one of SPLITS; for one that is not given, what the folder that `train` is has for it.
        """
        given = self._given(split)
        if not given and isinstance(self.train, str) and not is_pattern(self.train):
            # A folder of train.jsonl and valid.jsonl is meant as a whole.
            given = (Source(path=self.train),) if files_of(self.train, split) else ()
        return tuple(file for source in given for file in self._complete(source, split).files(split))

    def _given(self, split: str) -> tuple[Source, ...]:
        given = getattr(self, split)
        listed = () if given is None else (given,) if isinstance(given, str) else given
        return tuple(Source(path=one) if isinstance(one, str) else one for one in listed)

    def _complete(self, source: Source, split: str) -> Source:
        own = {"split": SPLITS[split], "format": self.format, "columns": self.columns}
        own |= {"encoding": self.encoding, "text_rows": self.text_rows}
        return source.model_copy(update={name: value for name, value in own.items() if getattr(source, name) is None})

    @model_validator(mode="after")
    def _sources_make_sense(self) -> "Data":
        for split in SPLITS:
            if getattr(self, split) == ():
                raise ValueError(f"{split}: the list of sources is empty")
        for split in ("valid", "test"):
            if any(source.weight is not None for source in self._given(split)):
                raise ValueError(f"{split}: a source of it has a weight; only those of train are mixed")
        return self
