"""Lines that no terminal can choke on, wrapped at words."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

INDENT = 8
"""Characters of a line's label; what does not fit on the line goes on below the text beside it."""

_ASCII = str.maketrans(
    {
        "✓": "+",
        "✗": "x",
        "≥": ">=",
        "≤": "<=",
        "–": "-",
        "—": "-",
        "−": "-",
        "…": "...",
        "·": "|",
        "⟨": "<",
        "⟩": ">",
        "↵": "\\n",
        "␣": "_",
        "∅": "''",
        "→": "->",
        "\N{NO-BREAK SPACE}": " ",
    }
)


class Speaker:
    """Prints text that no terminal can choke on."""

    def __init__(self, console: Console, encoding: str) -> None:
        self.console = console
        try:
            "✓✗≥≤–—−…·░▒▓⟨⟩".encode(encoding)
            self.plain = False
        except (UnicodeEncodeError, LookupError):
            self.plain = True

    def text(self, words: str, style: str = "") -> Text:
        """Words as rich text: never parsed as markup, encodable by the terminal."""
        if self.plain:
            words = words.translate(_ASCII).encode("ascii", "backslashreplace").decode("ascii")
        return Text(words, style=style)

    def line(self, *parts: str | tuple[str, str]) -> None:
        """One line of parts, each plain or with a style."""
        for line in self._wrapped(parts, self.console.width):
            self.console.print(line, highlight=False)

    def row(self, label: str, *parts: str | tuple[str, str]) -> None:
        """A label and text; the text stays in a column of its own where it takes several lines."""
        lines = self._wrapped(parts, max(12, self.console.width - INDENT))
        for place, line in enumerate(lines):
            ahead = Text(("" if place else label).ljust(INDENT))
            self.console.print(ahead.append_text(line), highlight=False)

    def _wrapped(self, parts: tuple[str | tuple[str, str], ...], width: int) -> list[Text]:
        whole = Text()
        for part in parts:
            whole.append_text(self.text(*([part] if isinstance(part, str) else part)))
        lines = list(whole.wrap(self.console, width, overflow="fold"))
        for line in lines:
            line.rstrip()
        return lines
