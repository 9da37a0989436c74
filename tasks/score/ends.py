"""Where an answer ends: at the ends that the model names, and at those that it was trained to write."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Ends:
    """Where generating an answer stops.

    Args:
        tokens: single tokens that end an answer, by their text.
        words: texts that do, of templates that end a turn without a token of its own.
        named: those of the tokens that the model's own files name, and a server stops at by itself.
    """

    tokens: dict[str, int]
    words: tuple[str, ...] = ()
    named: frozenset[str] = frozenset()

    @property
    def ids(self) -> frozenset[int]:
        """The ids of the tokens."""
        return frozenset(self.tokens.values())

    def text(self, tokenizer: Any, ids: Iterable[int]) -> str:
        """An answer as text, up to where it ends.

        Args:
            tokenizer: decodes ids.
            ids: the tokens of an answer or of a prompt; those that end an answer are left out.
        """
        said = tokenizer.decode([int(i) for i in ids if int(i) not in self.ids])
        return said[: min((at for words in self.words if (at := said.find(words)) >= 0), default=None)]

    def unnamed(self, trained: dict[str, int]) -> tuple[str, ...]:
        """What a server must be given to stop at, the most frequent first; empty where the model names one of them.

        Args:
            trained: how often an answer ends with what, as `SplitStats.ends` counts it.

        Example:
            >>> Ends({"</s>": 2, "<end>": 5}, named=frozenset({"</s>"})).unnamed({"<end>": 20})
            ('<end>',)
            >>> Ends({"</s>": 2, "<end>": 5}, named=frozenset({"</s>"})).unnamed({"<end>": 20, "</s>": 1})
            ('<end>',)
            >>> Ends({"</s>": 2}, named=frozenset({"</s>"})).unnamed({"</s>": 20})
            ()
        """
        return tuple(sorted((end for end in trained if end not in self.named), key=lambda end: -trained[end]))


def said_of(ends: Ends, trained: dict[str, int]) -> str | None:
    """What to say of answers that end where the model's own files name no end; None where they name it.

    Args:
        ends: the ends of the model and of the training.
        trained: how often an answer ends with what.

    Example:
        >>> said_of(Ends({"</s>": 2, "<end>": 5}, named=frozenset({"</s>"})), {"<end>": 20})
        "the model's eos '</s>' never ends an answer of these rows, '<end>' does: a server must stop there"
    """
    if not (unnamed := ends.unnamed(trained)):
        return None
    stop, named = " and ".join(map(repr, unnamed)), ", ".join(map(repr, sorted(ends.named)))
    if ends.named & set(trained):
        return f"answers end with {stop} too, which the model's files do not name as an end: a server must stop there"
    eos = f"the model's eos {named} never ends" if named else "the model has no eos, which would end"
    return f"{eos} an answer of these rows, {stop} does: a server must stop there"


def find_ends(tokenizer: Any, trained: Iterable[str]) -> Ends:
    """The ends of the model and of the training together.

    Args:
        tokenizer: mlx-lm's wrapper of one, whose `eos_token_ids` are the model's own.
        trained: what answers ended with in training: special tokens, or words.
    """
    known = {token.content: number for number, token in getattr(tokenizer, "added_tokens_decoder", {}).items()}
    own = {str(tokenizer.convert_ids_to_tokens(number)): number for number in sorted(tokenizer.eos_token_ids)}
    trained = list(dict.fromkeys(trained))
    return Ends(
        tokens={**own, **{end: known[end] for end in trained if end in known}},
        words=tuple(end for end in trained if end not in known and end not in own),
        named=frozenset(own),
    )
