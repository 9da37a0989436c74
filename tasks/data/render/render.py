"""An example as one text with weighted character spans: the last step before tokens."""

from dataclasses import replace
from typing import Any

from tasks.data.config import Supervise
from tasks.data.format.message import Example
from tasks.data.render.message_spans import message_spans
from tasks.data.render.places import Place, locate
from tasks.data.render.plain import concatenated, plain_text
from tasks.data.render.remarks import foreign_specials, remarks
from tasks.data.render.rendered import Rendered
from tasks.data.render.roles import known_roles
from tasks.data.render.supervise import message_weights
from tasks.data.render.template import Template
from tasks.data.render.turns import Turn, find_turns
from tasks.errors import DataError


def render(example: Example, template: Template, supervise: Supervise) -> Rendered:
    """The text of an example and its weighted spans.

    Args:
        example: a row, parsed.
        template: the tokenizer's chat template, or another in its place.
        supervise: which turns are targets, see `Data`.

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
    if example.text is not None:
        rendered = plain_text(example.text, example.spans, template)
    elif not template.exists:
        rendered = concatenated(example, supervise, template)
    else:
        rendered = _conversation(example, template.chosen(example.tools), supervise)
    return replace(rendered, specials=foreign_specials(example, template), weight=example.weight)


def _conversation(example: Example, template: Template, supervise: Supervise) -> Rendered:
    example, roles = known_roles(example, template)
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
    answer, end = None, ""
    for n, weight in enumerate(message_weights(example, supervise)):
        turn = turns[n]
        if example.messages[n].role == "assistant":
            own = _answer_spans(n, text, places[n], turn, marked, weight)
            answer = own[0][0] if own and weight else answer
        else:
            own = _other_span(n, text, places[n], template, example.messages[n].weight)
        if own and weight and example.messages[n].spans is not None:
            spans += message_spans(example.messages[n], text, places[n], own, weight)
        else:
            spans += [(start, stop, weight) for start, stop in own]
        if own and weight and turn is not None:
            end = turn.end if spans[-1][1] >= turn.stop and spans[-1][2] else ""
        speakers += _speaker(example.messages[n].role, places[n], turn, own)
    lost, notes = remarks(example, places, template, text, tools, messages)
    speakers.sort(key=lambda span: span[2] == "assistant")  # theirs are proven, and come last
    return Rendered(text, tuple(spans), answer, lost=lost, notes=(*roles, *notes), speakers=tuple(speakers), end=end)


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
