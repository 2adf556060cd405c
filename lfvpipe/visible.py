"""Texts of strangers, such as names of files, as they are shown: what is not seen is spelt out."""

import re

# Control characters, the marks that turn the direction of what follows (a name may end in gnp.exe
# and be shown as exe.png), the ends of lines and paragraphs that are no newline, and bytes of a
# name that are no text. Marks that join letters belong to words of some languages, and stay.
_UNSEEN = (
    r"\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f"
    r"\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff"
)
_IN_TEXT = re.compile(f"[{_UNSEEN}]")
_IN_NAME = re.compile(rf"[\t\n{_UNSEEN}]")
# A spreadsheet takes what starts with one of these for a formula.
_RISKY = ("=", "+", "-", "@", "\t", "\r")


def visible(text: str) -> str:
    r"""Return a text of one line or several, with ``\u001b`` for what is not seen in it."""
    return _IN_TEXT.sub(_spelt_out, text)


def visible_name(name: str) -> str:
    """Return a name as it is shown within a line, of which it can make no second one."""
    return _IN_NAME.sub(_spelt_out, name)


def harmless_cell(text: str) -> str:
    """Return a text for a cell of CSV, which no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(_RISKY) else text


def _spelt_out(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"
