"""Another value for an attribute of somebody else's module, class or object, for as long as a `with` lasts.

Patches of one attribute lie on each other in the order they were entered, each made of what lies below it. Whichever
leaves, the rest is laid anew on the value that was there before any; the last one to leave puts that value back.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tasks.errors import GraftlineError

Make = Callable[[Any], Any]
"""What a patch puts in the place of the value below it."""

_LOCK = threading.RLock()
"""Held by the thread that has a patch in force: patches reach the whole process, and another thread's work with it."""


@contextmanager
def one_thread() -> Iterator[None]:
    """Lets only the thread that is inside patch anything, as often as it likes.

    Raises:
        GraftlineError: another thread is inside.
    """
    if not _LOCK.acquire(blocking=False):
        raise GraftlineError("two trainings in one process: start the second as a process of its own")
    try:
        yield
    finally:
        _LOCK.release()


@contextmanager
def wrapped(owner: Any, name: str | int, make: Make) -> Iterator[None]:
    """Within the block an attribute is what `make` gives of the value it had; undone on leaving, errors included.

    Entered again with the same `make`, it is counted rather than made twice. May be left in any order.

    Args:
        owner: a module, a class, an object, or a list, whose attribute is then an index.
        name: of the attribute.
        make: from the value below to the new one; called again when a patch below it leaves.

    Raises:
        GraftlineError: another thread has a patch in force.

    Example:
        >>> import math
        >>> with wrapped(math, "sqrt", lambda stock: lambda x: -stock(x)):
        ...     math.sqrt(4)
        -2.0
        >>> math.sqrt(4)
        2.0
    """
    with one_thread():
        key = id(owner), name
        place = _PATCHED[key] = _PATCHED.get(key) or _Place(owner, name)
        try:
            place.enter(make)
            yield
        finally:
            if place.leave(make):
                del _PATCHED[key]


def replaced(owner: Any, name: str | int, new: Any) -> Any:
    """Within the block an attribute has another value; otherwise as `wrapped`.

    Example:
        >>> import math
        >>> with replaced(math, "pi", 3):
        ...     math.pi
        3
        >>> round(math.pi, 2)
        3.14
    """
    return wrapped(owner, name, _Constant(new))


def original(owner: Any, name: str | int) -> Any:
    """The value of an attribute below all patches.

    Example:
        >>> import math
        >>> with replaced(math, "pi", 3):
        ...     round(original(math, "pi"), 2)
        3.14
    """
    place = _PATCHED.get((id(owner), name))
    return _value(owner, name) if place is None else place.stock


class _Constant:
    """A `make` that does not look at what lies below; equal to another of the same value."""

    def __init__(self, value: Any):
        self.value = value

    def __call__(self, _below: Any) -> Any:
        return self.value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Constant) and other.value is self.value

    def __hash__(self) -> int:
        return id(self.value)


class _Place:
    """An attribute with patches in force; it keeps its owner, so that no other object takes over the id.

    Attributes:
        stock: the value before any patch.
        makes: the patches in the order they were entered, and how often each is in force.
    """

    def __init__(self, owner: Any, name: str | int):
        self._owner, self._name, self._inherited = owner, name, _is_inherited(owner, name)
        self.stock, self.makes = _value(owner, name), dict[Make, int]()

    def enter(self, make: Make) -> None:
        self.makes[make] = self.makes.get(make, 0) + 1
        if self.makes[make] == 1:
            self._put(make(_value(self._owner, self._name)))

    def leave(self, make: Make) -> bool:
        """Takes one away; whether none is left."""
        self.makes[make] -= 1
        if self.makes[make]:
            return False
        del self.makes[make]
        if not self.makes and self._inherited:
            if not _is_inherited(self._owner, self._name):
                delattr(self._owner, str(self._name))
            return True
        value = self.stock
        for other in self.makes:
            value = other(value)
        self._put(value)
        return not self.makes

    def _put(self, value: Any) -> None:
        if isinstance(self._name, int):
            self._owner[self._name] = value
        else:
            setattr(self._owner, self._name, value)


_PATCHED: dict[tuple[int, str | int], _Place] = {}


def _value(owner: Any, name: str | int) -> Any:
    """The value as it is stored, a static method as such."""
    if isinstance(name, int):
        return owner[name]
    return vars(owner)[name] if name in vars(owner) else getattr(owner, name)


def _is_inherited(owner: Any, name: str | int) -> bool:
    """Whether an object has an attribute from its class alone, or a class from its bases: then to be deleted again."""
    if isinstance(name, int) or name == "__class__":
        return False
    return name not in vars(owner) and not (isinstance(owner, dict) and name in owner)  # an nn.Module is a dict
