"""The character span of each assistant turn inside one render, from after its header to the end of its last token.

A turn is sought from the end of what came before it up to its own content, whose places are proven (see marks.py),
so that a header written inside a user's text is never taken for one.
"""

from collections.abc import Callable
from dataclasses import dataclass

from tasks.data.render.places import Place
from tasks.data.render.template import Template

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Turn:
    """An assistant turn in a render.

    Args:
        start: its first character, the one right after its header.
        stop: one past the last token that closes it; where nothing does, one past its content.
        ended: whether an end-of-turn token was found.
        end: what closes it, the last token where there are several: a special token, or the template's words.
    """

    start: int
    stop: int
    ended: bool
    end: str = ""


def find_turns(
    text: str,
    roles: list[str],
    places: list[Place],
    template: Template,
    prompt_of: Callable[[int], str],
) -> list[Turn | None]:
    """The turn of each message of `text`; None for those of other roles, and for an empty one that was left out.

    Args:
        text: the render of the whole conversation.
        roles: the role of each message.
        places: where each message stands in it.
        template: whose header and end-of-turn tokens are looked for.
        prompt_of: renders the conversation before message n with the generation prompt; called only where a turn has
            no header, and believed only where it is a prefix of `text`.
    """
    turns: list[Turn | None] = []
    cursor = 0
    for n, (role, place) in enumerate(zip(roles, places, strict=True)):
        limit = min((p.start for p in places[n + 1 :] if p.start is not None and p.start >= cursor), default=len(text))
        if place.start is not None:
            # Behind whatever earlier message stands before this one; a template may move a system turn elsewhere.
            earlier = [p.stop for p in places[:n] if p.stop is not None and p.stop <= place.start]
            cursor = max([cursor, *earlier])
        if role != "assistant":
            turns.append(None)
            cursor = max(cursor, place.stop or 0) if role not in ("system", "developer") else cursor
            continue
        begin = _begin(text, cursor, place, limit, template, lambda n=n: prompt_of(n))
        if begin is None:
            turns.append(None)
            continue
        turn = _end(text, begin, max(begin, place.stop or begin), limit, template)
        turns.append(turn)
        cursor = turn.stop
    return turns


def _begin(
    text: str, cursor: int, place: Place, limit: int, template: Template, prompt: Callable[[], str]
) -> int | None:
    stop = limit if place.start is None else place.start
    header = template.shape.header
    if header and (at := text.find(header, cursor, stop)) >= 0:
        return at + len(header)
    if place.start is None and header:
        return None
    # No header of its own: the turn follows the user's directly, or a tool's. What the model sees before it is then
    # the render of the messages before, if that is a prefix of this one; else the last special token ends it.
    before = prompt()
    if cursor <= len(before) <= stop and text.startswith(before):
        return len(before)
    if place.start is None:
        return None
    ends = [match.end() for match in template.special_pattern.finditer(text, cursor, stop)]
    return ends[-1] if ends else stop


def _end(text: str, begin: int, after: int, limit: int, template: Template) -> Turn:
    found = [(at, ender) for ender in template.shape.enders if (at := text.find(ender, after, limit)) >= 0]
    if found:
        at, ender = min(found)
        stop = at + len(ender)
    elif match := template.special_pattern.search(text, after, limit):
        stop, ender = match.end(), match.group()
    else:
        return Turn(begin, after, False)
    # Some templates close an answer twice (the end of a response, then the end of the turn): all of it is learned.
    while (match := template.special_pattern.match(text, stop)) and match.group() in template.shape.closers:
        stop, ender = match.end(), match.group()
    return Turn(begin, stop, True, ender)
