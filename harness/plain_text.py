"""Text of records, logs and other people, made harmless where it is shown: in a terminal, a feed, on a page.

What a log says must not retitle a terminal, hide a line, turn the text around it, or make a feed that no
reader parses. Knows nothing of where the text comes from or goes to.
"""

from __future__ import annotations

import re

# A whole sequence of a terminal's language: colours, cursor moves, titles, device strings.
_SEQUENCE = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
    r"|(?:\x1b\]|\x9d)[^\x07\x1b\x9c\n]*(?:\x07|\x1b\\|\x9c)?"
    r"|(?:\x1b[PX^_]|[\x90\x98\x9e\x9f])[^\x1b\x9c\n]*(?:\x1b\\|\x9c)?"
    r"|\x1b[ -/]*[0-~]"
)
# Control characters but line feed and tab; line separators; what changes the direction of writing or
# annotates text unseen; lone surrogates and the two that XML forbids.
_CONTROLS = (
    "\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u206f"
    "\ufeff\ufff9-\ufffb\ud800-\udfff\ufffe\uffff\U000e0000-\U000e007f"
)
_CONTROL = re.compile(f"[{_CONTROLS}]")


def plain(text: str) -> str:
    """Return text whose only control characters are line feeds and tabs.

    A terminal's sequences go as a whole, any other control character becomes a space. Never raises.
    """
    if text.isascii() and text.isprintable():
        return text
    if not _CONTROL.search(text):
        return text
    return _CONTROL.sub(" ", _SEQUENCE.sub("", text.replace("\r\n", "\n")))


def plain_line(text: str) -> str:
    """Return text without any control character, each a space: one line, in a table or a title."""
    if text.isprintable():
        return text
    return plain(text).replace("\n", " ").replace("\t", " ")


def escape_json(text: str) -> str:
    """Return JSON text with the characters that `plain` takes away written as escapes: no value changes.

    text: as a JSON encoder wrote it, where such characters stand inside of strings only.
    """
    return _CONTROL.sub(lambda match: _escape(match[0]), text)


def _escape(char: str) -> str:
    units = char.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at] << 8 | units[at + 1]:04x}" for at in range(0, len(units), 2))
