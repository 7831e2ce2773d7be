"""How a screen is drawn: with or without colour, in the signs that the terminal can show, as wide as it is."""

from __future__ import annotations

RED, GREEN, YELLOW, DIM, BOLD = "31", "32", "33", "2", "1"
_PRETTY = {"dot": "●", "wrong": "✗", "remedy": "→", "gone": "━", "left": "─", "mark": "┃", "cut": "…"}
_PLAIN = {"dot": "*", "wrong": "!", "remedy": "->", "gone": "=", "left": "-", "mark": "|", "cut": "~"}


class Style:
    """A way to draw.

    Args:
        width: columns.
        colour: whether to paint.
        encoding: what the terminal shows; None or one without the signs: ASCII alone.
    """

    __slots__ = ("_colour", "_signs", "width")

    def __init__(self, width: int = 80, *, colour: bool = False, encoding: str | None = None) -> None:
        self.width = max(40, min(width, 120))
        self._colour = colour
        self._signs = _PLAIN if encoding is None or not _can_show(encoding) else _PRETTY

    def sign(self, name: str) -> str:
        """Return a sign by what it is for."""
        return self._signs[name]

    def paint(self, text: str, *codes: str) -> str:
        """Return the text in these colours, if any are wanted."""
        return f"\x1b[{';'.join(codes)}m{text}\x1b[0m" if self._colour and text else text

    def wrapped(self, text: str, first: str, rest: str) -> list[str]:
        """Return a text in lines, the first of which begins with `first`, the others with `rest`."""
        lines, line = [], first
        for word in text.split():
            begun = line not in (first, rest)
            if begun and len(line) + 1 + len(word) > self.width:
                lines.append(line)
                line, begun = rest, False
            line += f" {word}" if begun else word
        return [*lines, line]

    def table(self, rows: list[tuple[str, ...]], indent: str) -> list[str]:
        """Return the rows as aligned lines that fit, the first of them a head; a long cell is cut in its middle."""
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        room = self.width - len(indent) - 2 * (len(widths) - 1)
        while sum(widths) > room and max(widths) > 8:
            widths[widths.index(max(widths))] -= 1
        lines = []
        for number, row in enumerate(rows):
            cells = [self._cut(cell, width).ljust(width) for cell, width in zip(row, widths, strict=True)]
            line = indent + "  ".join(cells).rstrip()
            lines.append(line if number else self.paint(line, DIM))
        return lines

    def _cut(self, text: str, width: int) -> str:
        if len(text) <= width:
            return text
        head = (width - 1) // 2
        return text[:head] + self.sign("cut") + text[len(text) - (width - 1 - head) :]


def _can_show(encoding: str) -> bool:
    try:
        "".join(_PRETTY.values()).encode(encoding)
    except (UnicodeError, LookupError):
        return False
    return True
