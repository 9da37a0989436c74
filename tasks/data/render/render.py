"""An example as one text with weighted character spans: the last step before tokens."""

from dataclasses import dataclass, replace
from typing import Any

from tasks.data.config import Supervise
from tasks.data.format.message import Example, Span
from tasks.data.format.unread import Unread
from tasks.data.render.message_spans import message_spans
from tasks.data.render.places import Place, locate
from tasks.data.render.remarks import foreign_specials, remarks
from tasks.data.render.supervise import message_weights
from tasks.data.render.template import Template
from tasks.data.render.turns import Turn, find_turns
from tasks.errors import DataError


@dataclass(frozen=True, slots=True)
class Rendered:
    """One text and what of it is a target.

    Args:
        text: what the tokenizer gets.
        spans: (start, stop, weight) in characters; a later span overrides an earlier one.
        answer: where the reference answer begins, in characters; None for plain text.
        plain: whether the tokenizer adds its own special tokens and an end-of-text, which a template writes itself.
        lost: what the template left out of the row.
        notes: what else is worth saying about it.
        speakers: (start, stop, one of SPEAKERS) in characters; the template's own words are in none of them.
        specials: the special tokens that the row's own texts contain, each with where it stands.
        weight: of the row, by which the weights of its spans and of its end are multiplied.
        ends: whether the end of a plain text is a target.
        ids: token ids that the row itself gives, in place of a text; empty where it gives none.
        id_weights: of each of `ids` as a target.
        unread: the columns and message keys that nothing reads.
    """

    text: str
    spans: tuple[tuple[int, int, float], ...]
    answer: int | None = None
    plain: bool = False
    lost: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    speakers: tuple[tuple[int, int, str], ...] = ()
    specials: tuple[str, ...] = ()
    weight: float = 1.0
    ends: bool = True
    ids: tuple[int, ...] = ()
    id_weights: tuple[float, ...] = ()
    unread: tuple[Unread, ...] = ()


def render(example: Example, template: Template, supervise: Supervise) -> Rendered:
    """The text of an example and its weighted spans.

    Raises:
        DataError: the template refuses or drops what is to be learned, a turn would be learned without its end, or
            the tokenizer has no template and the row needs one.
    """
    if example.format == "preference":
        raise DataError(
            "a preference row (chosen, rejected) needs a loss that compares two answers; there is none yet; to train "
            "on the chosen answers alone, say data.columns={completion: chosen} data.ignore=[rejected] (messages: "
            "chosen, where that is a whole conversation)"
        )
    if example.ids:
        return Rendered("", (), ids=example.ids, id_weights=example.id_weights, weight=example.weight)
    specials = foreign_specials(example, template)
    if example.text is not None:
        return replace(_plain(example.text, example.spans), specials=specials, weight=example.weight)
    if not template.exists:
        return replace(_concatenated(example, supervise), specials=specials, weight=example.weight)
    tools = list(example.tools) or None
    messages, text = _render(example, template, tools)
    places = locate(messages, text, lambda marked: template.render(marked, tools))
    turns = find_turns(
        text,
        [message.role for message in example.messages],
        places,
        template,
        lambda n: template.render(messages[:n], tools, prompt=True) if n else "",
    )
    marked = template.generation_spans(messages, tools)
    spans: list[tuple[int, int, float]] = [(0, len(text), 1.0)] if supervise == "all" else []
    speakers: list[tuple[int, int, str]] = []
    answer = None
    for n, weight in enumerate(message_weights(example, supervise)):
        if example.messages[n].role == "assistant":
            own = _answer_spans(n, text, places[n], turns[n], marked, weight)
            answer = own[0][0] if own and weight else answer
        else:
            own = _other_span(n, text, places[n], template, example.messages[n].weight)
        if own and weight and example.messages[n].spans is not None:
            spans += message_spans(example.messages[n], text, places[n], own, weight)
        else:
            spans += [(start, stop, weight) for start, stop in own]
        speakers += _speaker(example.messages[n].role, places[n], turns[n], own)
    lost, notes = remarks(example, places, template, text, tools, messages)
    speakers.sort(key=lambda span: span[2] == "assistant")  # theirs are proven, and come last
    return Rendered(text, tuple(spans), answer, False, lost, notes, tuple(speakers), specials, example.weight)


def _plain(text: str, named: tuple[Span, ...] | None) -> Rendered:
    whole = (0, len(text))
    spans = named or ((*whole, 1.0),)
    ends = any(stop == whole[1] and weight for _, stop, weight in spans)
    return Rendered(text, spans, plain=True, speakers=((*whole, "text"),), ends=ends)


def _render(example: Example, template: Template, tools: list[Any] | None) -> tuple[list[dict[str, Any]], str]:
    """What the template was given, and its text. Some templates join the arguments of a call as a string."""
    refusals = []
    for as_text in (False, True):
        messages = [message.as_template_input(arguments_as_text=as_text) for message in example.messages]
        try:
            return messages, template.render(messages, tools)
        except DataError as error:
            refusals.append(error)
        if not any(message.tool_calls for message in example.messages):
            break
    raise refusals[0]


def _concatenated(example: Example, supervise: Supervise) -> Rendered:
    roles = [message.role for message in example.messages]
    if example.answer_from is None or roles != ["user", "assistant"]:
        raise DataError(
            f"a conversation ({', '.join(roles)}) needs a chat template and the tokenizer has none; "
            "give one in data.template, or write the rows as prompt and completion, or as text"
        )
    prompt, completion = (message.content for message in example.messages)
    start = 0 if supervise == "all" else len(prompt)
    middle, end = len(prompt), len(prompt + completion)
    speakers = ((0, middle, "user"), (middle, end, "assistant"))
    spans, named = ((start, end, 1.0),), example.messages[1].spans
    if named is not None:
        spans = tuple((middle + first, middle + stop, weight) for first, stop, weight in named)
    ends = any(stop == end and weight for _, stop, weight in spans)
    return Rendered(prompt + completion, spans, middle, plain=True, speakers=speakers, ends=ends)


def _speaker(role: str, place: Place, turn: Turn | None, own: list[tuple[int, int]]) -> list[tuple[int, int, str]]:
    """Whose words a message's are: an assistant's whole turn, what is learned of another's, else its content."""
    name = "system" if role == "developer" else role
    if turn is not None:
        return [(turn.start, turn.stop, name)]
    if own:
        return [(own[0][0], own[-1][1], name)]
    return [] if place.start is None or place.stop is None else [(place.start, place.stop, name)]


def _answer_spans(
    n: int, text: str, place: Place, turn: Turn | None, marked: list[tuple[int, int]] | None, weight: float
) -> list[tuple[int, int]]:
    """The spans of an assistant turn, proven to be learnable where its weight is not zero."""
    if turn is None:
        if not weight or not (place.lost or place.start is not None):
            return []
        raise DataError(f"the chat template leaves out messages[{n}] ('assistant'), which is to be learned")
    if weight and "content" in place.lost:
        raise DataError(f"the chat template leaves out the content of messages[{n}] ('assistant')")
    if weight and place.repeated:
        raise DataError(f"the chat template writes messages[{n}] ('assistant') more than once; which is learned?")
    if weight and not turn.ended:
        raise DataError(
            f"no end-of-turn token follows messages[{n}] ('assistant'), so that a model would not learn to stop; "
            'mend the template (data.template) or set "train": false on that message'
        )
    if marked is None:
        return [(turn.start, turn.stop)]
    own = [(start, stop) for start, stop in marked if start < turn.stop and stop > turn.start]
    # Templates put the newline after the turn inside the block too; nothing is to be predicted there.
    own = [
        (start, turn.stop if not text[turn.stop : stop].strip() and stop > turn.stop else stop) for start, stop in own
    ]
    if weight and (not own or own[-1][1] < turn.stop):
        raise DataError(
            f"the template's {{% generation %}} block leaves out the end-of-turn token of messages[{n}]; "
            "put it before {% endgeneration %}"
        )
    return own


def _other_span(n: int, text: str, place: Place, template: Template, asked: float | None) -> list[tuple[int, int]]:
    """The span of a system, user or tool turn whose row set a weight for it."""
    if asked is None:
        return []
    if place.start is None or place.stop is None:
        if not asked:
            return []
        raise DataError(f"messages[{n}] asks to be trained on, but is not found in what the chat template writes")
    match = template.special_pattern.search(text, place.stop)
    tail = text[place.stop : match.start()] if match else "x"
    return [(place.start, match.end() if match and not tail.strip() else place.stop)]
