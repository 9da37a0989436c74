"""A figure as a person reads it, where it may not have been measured."""


def figure(value: float | None, form: str) -> str:
    """A number in a format, or `unknown`.

    Args:
        value: the number; None where it could not be measured.
        form: as of `format`.

    Example:
        >>> figure(2.0, ".3f"), figure(None, ".3f")
        ('2.000', 'unknown')
    """
    return "unknown" if value is None else format(value, form)


def change(before: float | None, after: float | None, form: str) -> str:
    """A figure of the base and of the adapter.

    Example:
        >>> change(2.0, None, ".3f")
        '2.000 -> unknown'
    """
    return f"{figure(before, form)} -> {figure(after, form)}"
