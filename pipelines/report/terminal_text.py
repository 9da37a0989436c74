"""Foreign text in a terminal: shown as it is, never read as markup, and no character of it acts."""

import logging
import unicodedata

from rich.text import Text

from tasks.errors import hide_secrets

JOINERS = "\u200c\u200d"
"""Written inside words of some languages, and inside emoji."""


def acts(char: str) -> bool:
    """Whether a character moves the cursor, turns the writing around, or is invisible otherwise; line ends too."""
    kind = unicodedata.category(char)
    return (kind[0] == "C" or kind in ("Zl", "Zp")) and char not in JOINERS


def harmless(text: object) -> str:
    """Text whose characters are all seen, line ends and tabs apart.

    Example:
        >>> harmless("[red]\\x1b[2J\\r gone")
        '[red]‹U+001B›[2J‹U+000D› gone'
    """
    said = str(text).replace("\r\n", "\n")
    return "".join(f"‹U+{ord(char):04X}›" if char not in "\n\t" and acts(char) else char for char in said)


def plain(text: object, style: str = "") -> Text:
    """The same for `rich`, which reads markup in every plain string that it is given."""
    return Text(harmless(text), style)


class HarmlessFormatter(logging.Formatter):
    """Lines of a log, the text of rows and files in them harmless, and without secrets."""

    def format(self, record: logging.LogRecord) -> str:
        """One record."""
        return harmless(hide_secrets(super().format(record)))
