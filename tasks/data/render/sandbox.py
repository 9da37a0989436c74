"""jinja2's sandbox for chat templates, with a bound on what one operation makes: 'a' * 10**10 is refused, not tried."""

import functools
import re
from collections.abc import Callable, Sized
from typing import Any

from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment

MOST = 1 << 24
"""Characters or items that one operation of a template may make; a row has 64 MiB at most, a number 65,536 bits."""

_WIDTHS = {"center", "ljust", "rjust", "zfill", "expandtabs", "indent", "wordwrap", "batch", "slice", "tojson"}
_MANY = {"replace", "join"}
_FORMATS = {"format", "format_map"}


class Sandbox(ImmutableSandboxedEnvironment):
    """The environment that `transformers` compiles chat templates in, whose operations are bounded one by one."""

    intercepted_binops = frozenset({"*", "**", "%"})

    def from_string(self, *args: Any, **kwargs: Any) -> Any:
        """Compiles a template, its filters bounded, those among them that were put in after the start."""
        for name in self.filters.keys() & (_WIDTHS | _MANY | _FORMATS):
            self.filters[name] = _bounded(name, self.filters[name])
        return super().from_string(*args, **kwargs)

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        """A product, a power, or a text with `%`."""
        if operator == "%" and isinstance(left, str):
            _require_format(left, right if isinstance(right, tuple) else (right,))
        elif operator == "*":
            _require(max(_length(left) * _number(right), _length(right) * _number(left), _bits(left) + _bits(right)))
        elif operator == "**":
            _require(_bits(left) * abs(_number(right)))
        return super().call_binop(context, operator, left, right)

    def call(__self, __context: Any, __obj: Any, *args: Any, **kwargs: Any) -> Any:
        """A method or a function."""
        method = getattr(__obj, "__wrapped__", __obj)  # jinja2 hands out str.format in a wrapper
        name, owner = getattr(method, "__name__", ""), getattr(method, "__self__", None)
        if isinstance(owner, str) and name in _WIDTHS | _MANY | _FORMATS:
            _require_call(name, owner, args, kwargs)
        return super().call(__context, __obj, *args, **kwargs)


@functools.cache
def harden() -> None:
    """Makes `transformers` compile chat templates in this sandbox from now on; being stricter, it is never undone."""
    from transformers.utils import chat_template_utils

    setattr(chat_template_utils, "ImmutableSandboxedEnvironment", Sandbox)  # noqa: B010 (it is not exported)
    chat_template_utils._compile_jinja_template.cache_clear()


def _bounded(name: str, made: Callable[..., Any]) -> Callable[..., Any]:
    """A filter whose arguments are looked at; those that jinja2 hands its context to have it before their value."""
    at = 1 if hasattr(made, "jinja_pass_arg") else 0

    @functools.wraps(made)  # keeps what jinja2 notes on it
    def bounded(*args: Any, **kwargs: Any) -> Any:
        _require_call(name, args[at], args[at + 1 :], kwargs)
        return made(*args, **kwargs)

    return bounded


def _require_call(name: str, value: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    given = (*args, *kwargs.values()) if name != "format_map" else tuple(args[0].values())
    if name in _WIDTHS:
        lines = str(value).count("\n" if name == "indent" else "\t") + 1 if name in ("indent", "expandtabs") else 1
        _require(lines * max(map(_number, given), default=0))
        _require(lines * max((_length(one) for one in given), default=0))
    elif name in _FORMATS:
        _require_format(str(value), given)
    elif name == "replace" and len(given) > 1:
        text, old, new = str(value), str(given[0]), str(given[1])
        _require((text.count(old) if old else len(text) + 1) * len(new))
    elif name == "join":
        texts, parts = (given[:1], value) if not isinstance(value, str) else ((value,), given[0] if given else ())
        _require(len(str(texts[0])) * _length(parts) if texts else 0)


def _require_format(text: str, given: tuple[Any, ...]) -> None:
    """Refuses a width in the text, or one that is an argument: `%*d`, `{:{}}`."""
    widths = [int(digits[:20]) for digits in re.findall(r"\d+", text)]
    if "*" in text or re.search(r"\{[^{}]*\{", text):
        widths += [_number(one) for one in given]
    _require(max(widths, default=0) if "%" in text or "{" in text else 0)


def _require(size: int | float) -> None:
    if size > MOST:
        raise SecurityError(f"one operation makes more than {MOST:,} characters or items")


def _length(value: Any) -> int:
    return len(value) if isinstance(value, Sized) else 0


def _number(value: Any) -> int:
    return value if isinstance(value, int) else 0


def _bits(value: Any) -> int:
    """What the bits of a number weigh, whose products take longer than texts."""
    return value.bit_length() << 8 if isinstance(value, int) else 0
