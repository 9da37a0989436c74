"""A chat template: the one that a tokenizer has, one of several that it has by name, or another in its place."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tasks.data.render.bounded import GROWTH, SECONDS, TooMuch, bounded
from tasks.data.render.sandbox import harden
from tasks.data.render.shape import Shape, probe_shape
from tasks.errors import DataError, one_line

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_GENERATION = re.compile(r"\{%-?\+?\s*generation\s*[-+]?%\}")
_DATE = re.compile(r"strftime_now\(\s*['\"]([^'\"]+)['\"]")
_ROLE = "qzrole"


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
        """The Jinja source; None where the tokenizer has no template, or several that `chosen` chooses from."""
        own = getattr(self.tokenizer, "chat_template", None)
        return self.override if self.override is not None else own if isinstance(own, str) else None

    @property
    def exists(self) -> bool:
        """Whether there is a template at all."""
        return self.override is not None or bool(getattr(self.tokenizer, "chat_template", None))

    def chosen(self, tools: Sequence[Any] | None = None) -> "Template":
        """The one template of a conversation, with its own shape and marks, where the tokenizer has several by name.

        Args:
            tools: the functions that the conversation may call; some tokenizers have a template for them.

        Raises:
            DataError: none of the names is the one that `transformers` would take.
        """
        if self.text is not None or not self.exists:
            return self
        try:
            text = self.tokenizer.get_chat_template(None, tools=list(tools) if tools else None)
        except ValueError as error:
            raise DataError(f"the tokenizer's chat templates have no default: {error}") from error
        return self._named.setdefault(text, replace(self, override=text))

    @cached_property
    def _named(self) -> dict[str, "Template"]:
        return {}

    @cached_property
    def role_as_is(self) -> bool:
        """Whether it writes a role that it does not know as it is, as `<|im_start|>{{ m.role }}` does."""
        turns = [{"role": "user", "content": "a"}, {"role": _ROLE, "content": "b"}]
        try:
            return _ROLE in self.render(turns)
        except DataError:
            return False

    def render(self, messages: list[dict[str, Any]], tools: list[Any] | None = None, *, prompt: bool = False) -> str:
        """The text of a conversation; with `prompt`, up to where the assistant's next answer begins.

        Raises:
            DataError: the template refuses the conversation; its own words are the reason.
        """
        with _harmless():
            text = self.tokenizer.apply_chat_template(
                messages,
                tools=tools,
                chat_template=self.override,
                add_generation_prompt=prompt,
                tokenize=False,
                **self.kwargs,
            )
        return str(text)

    def generation_spans(self, messages: list[dict[str, Any]], tools: list[Any] | None) -> list[tuple[int, int]] | None:
        """The character spans inside {% generation %} blocks; None where the template marks none."""
        if self.text is None or not _GENERATION.search(self.text):
            return None
        from transformers.utils.chat_template_utils import render_jinja_template

        variables = {**self.tokenizer.special_tokens_map, **self.kwargs}
        with _harmless():
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
    def shape(self) -> Shape:
        """What the template writes around an assistant's answer."""
        return probe_shape(self)


@contextmanager
def _harmless() -> Iterator[None]:
    """Runs a template, a program that somebody else wrote, within bounds; whatever it raises is a reason."""
    harden()
    try:
        with bounded():
            yield
    except TooMuch:
        raise DataError(
            f"the chat template takes more than {SECONDS:g} s or {GROWTH >> 30} GiB for the conversation"
        ) from None
    except Exception as error:  # from TemplateError to TypeError
        reason = one_line(f"{type(error).__name__}: {error}", 400)
        raise DataError(f"the chat template refuses the conversation: {reason}") from error
