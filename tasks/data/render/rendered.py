"""Rendered: an example as one text with weighted character spans, which is what the tokenizer gets."""

from dataclasses import dataclass

from tasks.data.format.unread import Unread


@dataclass(frozen=True, slots=True)
class Rendered:
    """One text and what of it is a target.

    Args:
        text: what the tokenizer gets.
        spans: (start, stop, weight) in characters; a later span overrides an earlier one.
        answer: where the reference answer begins, in characters; None for plain text.
        plain: whether the tokenizer adds its own special tokens, which a template writes itself.
        closed: whether a plain text has its end already; elsewhere the tokenizer's eos is put behind it.
        lost: what the template left out of the row.
        notes: what else is worth saying about it.
        speakers: (start, stop, one of SPEAKERS) in characters; the template's own words are in none of them.
        specials: the special tokens that the row's own texts contain, each with where it stands.
        weight: of the row, by which the weights of its spans and of its end are multiplied.
        learns_end: whether the end of a plain text is a target.
        ids: token ids that the row itself gives, in place of a text; empty where it gives none.
        id_weights: of each of `ids` as a target.
        unread: the columns and message keys that nothing reads.
        end: what the last answer that is learned, or the text, ends with: a special token, or the template's words; ""
            where nothing ends it.
    """

    text: str
    spans: tuple[tuple[int, int, float], ...]
    answer: int | None = None
    plain: bool = False
    closed: bool = False
    lost: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    speakers: tuple[tuple[int, int, str], ...] = ()
    specials: tuple[str, ...] = ()
    weight: float = 1.0
    learns_end: bool = True
    ids: tuple[int, ...] = ()
    id_weights: tuple[float, ...] = ()
    unread: tuple[Unread, ...] = ()
    end: str = ""
