"""What one reading of the configuration finds: mistakes and warnings, with the place of every key that was read.

The rule it keeps: nothing that may be a secret gets into a text. What was written is
repeated only where the caller says it cannot be one, and whatever looks like an API
key is masked here, in the one place where every text is made.
"""

from __future__ import annotations

import os.path
import re
from collections.abc import Container, Iterable, Iterator, Mapping

from sidecar.config.expand import expand
from sidecar.config.nodes import Node, Place, Scalar, Table, is_null
from sidecar.config.units import Unfit
from sidecar.errors import ConfigError, Mistake

_LOOKS_LIKE_A_KEY = re.compile(r"gct_\S*")
_LOOKS_LIKE_A_WORD = re.compile(r"[A-Za-z][A-Za-z_-]{0,31}")
# Longer than any word or number that is meant, shorter than an API key that stands in the wrong place.
_LONGEST_SHOWN = 16
_LONGEST_MISSPELT = 40
# Finding the nearest word costs some 50 µs; a file of garbage need not have it for each of its lines.
_MOST_SUGGESTIONS = 100


class Invalid(Exception):
    """What was read is of no use; the mistake is noted already."""


class Notes:
    """The notes of one reading.

    Args:
        environ: the environment, for `${NAME}`.
        source: the file's path, or where else a mistake without a place of its own is said to stand.
        folder: what relative file paths in the file start from.
    """

    def __init__(self, environ: Mapping[str, str], source: str, folder: str | None = None) -> None:
        self.environ = environ
        self.mistakes: list[Mistake] = []
        self.warnings: list[str] = []
        self._source = source
        self._folder = folder
        self._places: dict[str, Place] = {"": Place(source)}
        self._suggestions = 0

    def note_place(self, at: str, place: Place) -> None:
        """Remember where the key `at` was written."""
        self._places[at] = place

    def has(self, at: str) -> bool:
        """Whether the key `at` was written at all, rightly or wrongly."""
        return at in self._places

    def wrong(self, at: str, text: str, place: Place | None = None) -> Invalid:
        """Note a mistake at the key `at`; return what to raise where reading cannot go on."""
        self.mistakes.append(self._mistake(at, text, place))
        return Invalid()

    def warn(self, at: str, text: str) -> None:
        """Note something that works and is still worth a look."""
        self.warnings.append(str(self._mistake(at, text, None)))

    def raise_mistakes(self) -> None:
        """Raise ConfigError with every mistake, in the order of the file, if there is any."""
        if self.mistakes:
            raise ConfigError(sorted(set(self.mistakes), key=lambda one: (one.where, one.line, one.column, one.key)))

    def expanded(self, scalar: Scalar) -> str:
        """Return the scalar's text with `${NAME}` replaced. Raises Unfit."""
        return scalar.text if scalar.literal else expand(scalar.text, self.environ)

    def shown(self, node: Node) -> str:
        """Return what was written as the end of a sentence; nothing where it is long or came from the environment."""
        if not isinstance(node, Scalar) or len(node.text) > _LONGEST_SHOWN:
            return ""
        return "" if not node.literal and "$" in node.text else f", not {node.text!r}"

    def suggestion(self, word: str, words: Iterable[str]) -> str:
        """Return "; did you mean x?" for the nearest of the words, or nothing."""
        if self._suggestions >= _MOST_SUGGESTIONS or len(word) > _LONGEST_MISSPELT:
            return ""
        import difflib  # only a mistake needs it, and start-up time counts

        self._suggestions += 1
        nearest = difflib.get_close_matches(word.lower(), list(words), n=1, cutoff=0.6)
        return f"; did you mean {nearest[0]}?" if nearest else ""

    def entries(self, node: Node, at: str, expected: str, known: Container[str] = ()) -> Iterator[tuple[Scalar, Node]]:
        """Yield a table's entries, each name once; null is an empty table.

        Args:
            expected: what a mistake says should stand here.
            known: names that a mistake may repeat, since they are ours.

        Raises:
            Invalid: it is no table.
        """
        if is_null(node):
            return
        if not isinstance(node, Table):
            raise self.wrong(at, f"expected {expected}", node.place)
        seen: dict[str, Place] = {}
        for name, value in node.entries:
            first = seen.setdefault(name.text, name.place)
            if first is name.place:
                yield name, value
            else:
                here = join(at, name.text) if name.text in known else at
                self.wrong(here, f"this key stands here twice, first in line {first.line}", name.place)

    def file_path(self, scalar: Scalar) -> str:
        """Return an absolute path: `~` is the home, a relative one starts at the file it stands in. Raises Unfit."""
        text = self.expanded(scalar)
        if not text or "\0" in text:
            raise Unfit("expected the path of a file")
        if text.startswith("~/") and self.environ.get("HOME"):
            text = self.environ["HOME"] + text[1:]
        folder = self._folder if scalar.place.where == self._source else None
        return os.path.abspath(os.path.join(folder or "", text))

    def _mistake(self, at: str, text: str, place: Place | None) -> Mistake:
        place = place or self._place(at)
        return Mistake(masked(place.where), place.line, place.column, masked(at), masked(text))

    def _place(self, at: str) -> Place:
        while at not in self._places:
            at = at[: max(at.rfind("."), at.rfind("["), 0)]
        return self._places[at]


def masked(text: str) -> str:
    """Return the text without what looks like an API key."""
    return _LOOKS_LIKE_A_KEY.sub("***", text)


def refusal(place: Place, text: str) -> ConfigError:
    """Return the error of a configuration that cannot be read at all."""
    return ConfigError([Mistake(masked(place.where), place.line, place.column, "", text)])


def is_word(text: str) -> bool:
    """Whether it can only be a misspelt word: letters, `-` and `_`, and not many."""
    return _LOOKS_LIKE_A_WORD.fullmatch(text) is not None


def join(at: str, name: str) -> str:
    """Return the dotted path of a key inside the key `at`."""
    return f"{at}.{name}" if at else name
