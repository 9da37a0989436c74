"""Frozen, strict records, and the fingerprint of any plain value."""

import hashlib
import json
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError

from tasks.errors import one_line


class Record(BaseModel):
    """A frozen, strict record: an unknown key, a wrong type or a non-finite number is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False, protected_namespaces=())


def kinds(union: Any) -> dict[str, Any]:
    """The records of a union by their `kind`, in order: the table of a config group, read off its type.

    Args:
        union: `Annotated[A | B, ...]`, `A | B` or `A`, records with a field `kind: Literal["..."]`.

    Example:
        >>> from typing import Literal
        >>> class Square(Record):
        ...     kind: Literal["square"] = "square"
        >>> class Circle(Record):
        ...     kind: Literal["circle"] = "circle"
        >>> kinds(Square | Circle) == {"square": Square, "circle": Circle}
        True
    """
    plain = get_args(union)[0] if get_origin(union) is Annotated else union
    records = get_args(plain) or [plain]
    return {kind: record for record in records for kind in get_args(record.model_fields["kind"].annotation)}


def first_problem(error: ValidationError) -> str:
    """Pydantic's first problem in one line: where, what, and the value where it is a plain one.

    Example:
        >>> class Size(Record):
        ...     rank: int
        >>> try:
        ...     Size.model_validate({"rank": "x"})
        ... except ValidationError as error:
        ...     first_problem(error)
        "'rank': Input should be a valid integer, not 'x'"
    """
    first = error.errors()[0]
    where, given = ".".join(map(str, first["loc"])), first["input"]
    plain = given is None or isinstance(given, str | int | float | bool)
    value = f", not {given!r}" if plain and first["type"] != "missing" else ""
    return one_line(f"{where!r}: {first['msg']}{value}" if where else f"{first['msg']}{value}")


def fingerprint(value: Any, length: int = 16) -> str:
    """The SHA-256 of a value's canonical JSON, as `length` hexadecimal digits.

    Records, dicts with string keys, lists, tuples, strings, numbers, booleans and None have one; anything else
    raises TypeError rather than being hashed by its `repr`.

    Example:
        >>> fingerprint({"b": 1, "a": [2, 3]}) == fingerprint({"a": (2, 3), "b": 1})
        True
    """
    return hashlib.sha256(_canonical(value).encode()).hexdigest()[:length]


def _canonical(value: Any) -> str:
    def plain(v: Any) -> Any:
        if isinstance(v, BaseModel):
            return plain(v.model_dump(mode="json"))
        if isinstance(v, dict):
            if not all(isinstance(k, str) for k in v):
                raise TypeError("only dicts with string keys have a fingerprint")
            return {k: plain(x) for k, x in v.items()}
        if isinstance(v, list | tuple):
            return [plain(x) for x in v]
        if v is None or isinstance(v, str | int | float | bool):
            return v
        raise TypeError(f"a {type(v).__name__} has no fingerprint; give its content instead")

    return json.dumps(plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
