"""A chat template and what it writes around any message: the assistant's header, and what ends a turn.

Both are learned by rendering a probe conversation, never from a list of model families.
"""

import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tasks.errors import DataError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_GENERATION = re.compile(r"\{%-?\+?\s*generation\s*[-+]?%\}")
_DATE = re.compile(r"strftime_now\(\s*['\"]([^'\"]+)['\"]")
_ASKS, _ANSWERS = ("qzaskone", "qzasktwo"), ("qzanswerone", "qzanswertwo")


@dataclass(frozen=True)
class Template:
    """A tokenizer's chat template, or another one in its place, with its variables.

    Args:
        tokenizer: a `transformers` tokenizer.
        override: a template's text to use instead of the tokenizer's own.
        kwargs: variables for the template.
    """

    tokenizer: "PreTrainedTokenizerBase"
    override: str | None
    kwargs: dict[str, Any]

    @cached_property
    def text(self) -> str | None:
        """The Jinja source; None where the tokenizer has no template (or several, to be chosen by row)."""
        own = getattr(self.tokenizer, "chat_template", None)
        return self.override if self.override is not None else own if isinstance(own, str) else None

    @property
    def exists(self) -> bool:
        """Whether there is a template at all."""
        return self.override is not None or bool(getattr(self.tokenizer, "chat_template", None))

    def render(self, messages: list[dict[str, Any]], tools: list[Any] | None = None, *, prompt: bool = False) -> str:
        """The text of a conversation; with `prompt`, up to where the assistant's next answer begins.

        Raises:
            DataError: the template refuses the conversation; its own words are the reason.
        """
        try:
            text = self.tokenizer.apply_chat_template(
                messages,
                tools=tools,
                chat_template=self.override,
                add_generation_prompt=prompt,
                tokenize=False,
                **self.kwargs,
            )
        except Exception as error:  # templates are programs: they raise anything, from TemplateError to TypeError
            reason = f"{type(error).__name__}: {error}"
            raise DataError(f"the chat template refuses the conversation: {reason}") from error
        return str(text)

    def generation_spans(self, messages: list[dict[str, Any]], tools: list[Any] | None) -> list[tuple[int, int]] | None:
        """The character spans inside {% generation %} blocks; None where the template marks none."""
        if self.text is None or not _GENERATION.search(self.text):
            return None
        from transformers.utils.chat_template_utils import render_jinja_template

        variables = {**self.tokenizer.special_tokens_map, **self.kwargs}
        _, spans = render_jinja_template(
            conversations=[messages],
            tools=tools,
            chat_template=self.text,
            return_assistant_tokens_mask=True,
            **variables,
        )
        return [(int(start), int(stop)) for start, stop in spans[0]]  # type: ignore[index]

    @cached_property
    def specials(self) -> tuple[str, ...]:
        """The texts of the special tokens, longest first."""
        added = getattr(self.tokenizer, "added_tokens_decoder", {}).values()
        texts = {token.content for token in added if token.special} | set(self.tokenizer.all_special_tokens)
        return tuple(sorted(filter(None, texts), key=lambda text: (-len(text), text)))

    @cached_property
    def special_pattern(self) -> re.Pattern[str]:
        """Matches any special token; nothing where the tokenizer has none."""
        return re.compile("|".join(map(re.escape, self.specials)) or r"(?!)")

    @cached_property
    def date_formats(self) -> tuple[str, ...]:
        """The formats in which the template prints today's date."""
        return tuple(_DATE.findall(self.text or ""))

    @cached_property
    def shape(self) -> "Shape":
        """What the template writes around an assistant's answer."""
        return _probe(self)


@dataclass(frozen=True, slots=True)
class Shape:
    """What a template writes around an assistant's answer.

    Args:
        header: what stands before each assistant turn, "" where nothing of its own does.
        enders: the tokens that end one, in the middle of a conversation and at its end; empty where nothing does.
    """

    header: str
    enders: tuple[str, ...]


def _probe(template: Template) -> Shape:
    turns: list[dict[str, Any]] = []
    for ask, answer in zip(_ASKS, _ANSWERS, strict=True):
        turns += [{"role": "user", "content": ask}, {"role": "assistant", "content": answer}]
    try:
        text = template.render(turns)
        before, prompt = template.render(turns[:1]), template.render(turns[:1], prompt=True)
    except DataError:
        return Shape("", ())
    places = [text.find(word) for pair in zip(_ASKS, _ANSWERS, strict=True) for word in pair]
    if -1 in places or places != sorted(places):
        return Shape("", ())
    lead_ins = (text[places[0] + len(_ASKS[0]) : places[1]], text[places[2] + len(_ASKS[1]) : places[3]])
    middle, end = text[places[1] + len(_ANSWERS[0]) : places[2]], text[places[3] + len(_ANSWERS[1]) :]
    added = prompt[_shared(before, prompt, template.special_pattern) :]
    return Shape(_header(added, middle, lead_ins), _enders(template.special_pattern, middle, end))


def _shared(before: str, prompt: str, special: re.Pattern[str]) -> int:
    """How many characters two renders share, not counting a part of a special token."""
    shared = next((n for n, (a, b) in enumerate(zip(before, prompt, strict=False)) if a != b), len(before))
    if shared == len(before):
        return shared
    inside = [m.start() for text in (before, prompt) for m in special.finditer(text) if m.start() < shared < m.end()]
    return min(inside, default=shared)


def _header(added: str, middle: str, lead_ins: tuple[str, ...]) -> str:
    """The part of the generation prompt that is a header, not the beginning of an answer.

    A generation prompt may go on beyond the header, with an empty or an open think block. The header is what has the
    same end as a user's header (`<|im_start|>user\\n` and `<|im_start|>assistant\\n<think>\\n`: up to the first
    newline), and what the template also writes before the answers of a rendered conversation.
    """
    shared = next(n for n in range(len(added), -1, -1) if added[:n] in middle)
    theirs = middle[middle.rfind(added[:shared]) + shared :]
    ours = added[shared:]
    tail = next((theirs[n:] for n in range(len(theirs)) if theirs[n:] in ours), "")
    header = added[: shared + ours.find(tail) + len(tail)] if tail else added
    while header and not all(header in lead_in for lead_in in lead_ins):
        header = header[:-1]
    return header if header.strip() else ""


def _enders(special: re.Pattern[str], middle: str, end: str) -> tuple[str, ...]:
    found = [match.group() for text in (middle, end) if (match := special.search(text))]
    if not found and end.strip():
        # No special token ends a turn: then the words that stand after each answer do.
        shared = next(n for n in range(min(len(middle), len(end)), -1, -1) if middle[:n] == end[:n])
        found = [(end[:shared] or end).rstrip() or end.rstrip()]
    return tuple(dict.fromkeys(filter(None, found)))
