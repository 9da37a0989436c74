"""The parts of a message that its row names as targets, in the characters of a render."""

from tasks.data.format.message import Message
from tasks.data.render.places import Place
from tasks.errors import DataError


def message_spans(
    message: Message, text: str, place: Place, turn: list[tuple[int, int]], weight: float
) -> list[tuple[int, int, float]]:
    """Spans of a message's content as spans of the render.

    A part that reaches the end of the content takes the rest of the turn with it: what follows, up to its end token.

    Args:
        message: whose `spans` are meant.
        text: the render.
        place: where the message stands in it.
        turn: the spans of its whole turn; nothing of it but the parts is a target.
        weight: of the message, by which those of its parts are multiplied.

    Raises:
        DataError: the content does not stand in the render as it is, once.

    Example:
        >>> place = Place(start=3, stop=11, known=True)
        >>> message = Message("assistant", "red blue", spans=((4, 8, 1.0),))
        >>> message_spans(message, "<a>red blue</a>", place, [(3, 15)], 1.0)
        [(3, 15, 0.0), (7, 15, 1.0)]
    """
    core = message.content.strip()
    start, stop = place.start, place.stop
    at = -1 if start is None or stop is None or not core else text.find(core, start, stop)
    if at < 0 or text.find(core, at + 1, stop) >= 0:
        raise DataError(
            f"the spans of a message of role {message.role!r} cannot be placed: its content does not stand exactly "
            "once in what the chat template writes"
        )
    lead = message.content.find(core)
    end = lead + len(core)
    out = [(first, last, 0.0) for first, last in turn]
    for first, last, share in message.spans or ():
        begin, finish = at + max(first - lead, 0), turn[-1][1] if last >= end else at + last - lead
        if begin < finish:
            out.append((begin, finish, share * weight))
    return out
