"""Prints examples token by token: in colour in a terminal, with marks as plain text elsewhere."""

import unicodedata
from collections.abc import Iterator, Sequence
from itertools import groupby

from rich.console import Console
from rich.text import Text

from tasks.data import Data, TokenCache
from tasks.data.excerpt import Excerpt, Piece, excerpt, telling_examples
from tasks.model import Model

OPEN, CLOSE = "⟦", "⟧"
_JOINERS = "\u200c\u200d"  # written inside words of some languages, and inside emoji
STYLES = {
    "supervised": "green",
    "weighted": "yellow",
    "unsupervised": "dim",
}
SPECIAL = {"supervised": "green reverse", "weighted": "yellow reverse", "unsupervised": "dim cyan"}


def excerpts(cache: TokenCache, model: Model) -> list[Excerpt]:
    """The telling examples of a cache, decoded by the model's tokenizer."""
    from tasks.model.base import load_tokenizer

    tokenizer = load_tokenizer(model)._tokenizer
    return [excerpt(cache.split(split), n, why, tokenizer) for split, n, why in telling_examples(cache)]


def where(shown: Excerpt, data: Data, cache: TokenCache) -> str:
    """The file and line of an example, as a person would look it up."""
    return f"{data.sources(cache.split(shown.split).pool)[shown.source].path}:{shown.line}"


def about(shown: Excerpt) -> str:
    """What an example is shown for, and how much of it is supervised."""
    split = "" if shown.split == "train" else f" (held out: {shown.split})"
    return f"{shown.why}{split}: {shown.supervised_tokens:,} of {shown.tokens:,} tokens supervised"


def left_out(shown: Excerpt) -> str:
    """What stands between head and tail."""
    tokens, supervised = shown.left_out
    return f"{tokens:,} tokens not shown, {supervised:,} of them supervised"


def visible(text: str, before: str = "", after: str = "") -> str:
    """Text of which every character can be seen, and none can move the cursor or turn the writing around.

    A single space between letters is left; any other is a dot. `before` and `after` are the characters around `text`,
    empty at the edge of what has one colour.

    Example:
        >>> visible("a b  c\\t\\x1b[0m\\n ")
        'a b··c→‹U+001B›[0m⏎\\n·'
    """
    around = [before, *text, after]
    return "".join(
        _visible(char, around[n].strip() != "" and around[n + 2].strip() != "") for n, char in enumerate(text)
    )


def _visible(char: str, between_letters: bool) -> str:
    code, kind = ord(char), unicodedata.category(char)
    if char == " ":
        return " " if between_letters else "·"
    if char in "\n\t":
        return "⏎\n" if char == "\n" else "→"
    if (kind[0] in "CZ" and char not in _JOINERS) or char in OPEN + CLOSE:
        return f"‹U+{code:04X}›"
    return char


def spans(pieces: Sequence[Piece]) -> Iterator[tuple[str, Piece]]:
    """Each piece with its visible text, which depends on its neighbours of the same colour."""
    for n, piece in enumerate(pieces):
        beside = [pieces[k].text if 0 <= k < len(pieces) else "" for k in (n - 1, n + 1)]
        alike = [0 <= k < len(pieces) and _colour(pieces[k]) == _colour(piece) for k in (n - 1, n + 1)]
        yield visible(piece.text, beside[0][-1:] if alike[0] else "", beside[1][:1] if alike[1] else ""), piece


def _colour(piece: Piece) -> tuple[float, bool]:
    return piece.weight, piece.special


def coloured(pieces: Sequence[Piece]) -> Text:
    """Pieces for a terminal. What a row says is never read as markup."""
    text, before = Text(), 0.0
    for shown, piece in spans(pieces):
        kind = "unsupervised" if not piece.weight else "supervised" if piece.weight == 1 else "weighted"
        if kind == "weighted" and piece.weight != before:
            text.append(f"×{piece.weight:g} ", "bold yellow")
        text.append(shown, (SPECIAL if piece.special else STYLES)[kind])
        before = piece.weight
    return text


def marked(pieces: Sequence[Piece]) -> str:
    """Pieces as plain text, the supervised ones inside ⟦ ⟧ (with another weight than 1: ⟦×0.5 ...⟧).

    Example:
        >>> hi, ho = Piece("hi ", (1,), 0.0, "user", False), Piece("ho", (2,), 1.0, "assistant", False)
        >>> marked([hi, ho])
        'hi·⟦ho⟧'
    """
    out = []
    for weight, run in groupby(spans(pieces), key=lambda item: item[1].weight):
        text = "".join(shown for shown, _ in run)
        lead = "" if weight == 1 else f"×{weight:g} "
        out.append(f"{OPEN}{lead}{text}{CLOSE}" if weight else text)
    return "".join(out)


def show_tokens(shown: Sequence[Excerpt], titles: Sequence[str], console: Console) -> None:
    """Prints examples; `titles` says where each stands."""
    colour = console.is_terminal and not console.no_color
    if colour:
        legend = Text("tokens: ").append("supervised", STYLES["supervised"]).append(", ")
        legend.append("×0.5 with a weight", STYLES["weighted"]).append(", ").append("not supervised", "dim")
        legend.append("; special ones: ").append("supervised", SPECIAL["supervised"]).append(", ")
        console.print(legend.append("not supervised", SPECIAL["unsupervised"]))
    else:
        _say(console, f"tokens: {OPEN}supervised{CLOSE}, {OPEN}×0.5 with a weight{CLOSE}, not supervised")
    for example, title in zip(shown, titles, strict=True):
        _say(console, "\n", (visible(title), "bold"), f"  {visible(about(example))}")
        for n, part in enumerate([example.head, example.tail] if example.tail else [example.head]):
            if n:
                _say(console, (f"… {left_out(example)} …", "italic"))
            if colour:
                text = coloured(part)
                text.rstrip()  # the line end behind the last ⏎
                console.print(text, overflow="fold")
            else:
                _say(console, marked(part).rstrip("\n"))


def _say(console: Console, *parts: str | tuple[str, str]) -> None:
    console.print(Text.assemble(*parts), highlight=False, soft_wrap=True)
