"""What texts are written in where nothing in them tells: names in archives, tables of Excel's.

A text of a few words is too short for statistics over a language. But each legacy encoding has its
common characters in a part of its own: what decodes to these in one encoding becomes rare signs in
the others, or none at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

DOS: Final = ("cp437", "cp850", "cp1252")
"""What western names in archives are written in, the likeliest first."""

WINDOWS: Final = ("cp1252",)
"""And western tables that Excel saved."""

_LAST_LATIN = 0x17F  # the end of Latin Extended-A
# Signs in texts beside letters: quotation marks, degrees, dashes.
_SIGNS = frozenset(bytes(range(0x80, 0xC0)).decode("cp1252", "ignore"))
# Two encodings of which the worse explains nearly as much as the better one cannot be told apart.
_CLEAR = 0.15
_SOUND = 0.5


@dataclass(frozen=True)
class Guess:
    """What texts are most likely written in.

    Attributes:
        encoding: By its name in Python.
        others: What they may be written in as well, as far as the texts tell.
    """

    encoding: str
    others: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return it in words: ``gbk, though big5 or cp949 would fit as well``."""
        if not self.others:
            return self.encoding
        return f"{self.encoding}, though {' or '.join(self.others)} would fit as well"


def guess_encoding(texts: Iterable[bytes], western: Sequence[str] = DOS) -> Guess:
    """Return what all `texts`, none of which is UTF-8, are most likely written in.

    Args:
        texts: Names, or lines of a table.
        western: The encodings of Latin scripts to think of.
    """
    written = [raw for raw in texts if not raw.isascii()]
    for each in western:
        if all(_is_plausible(raw, each, western) for raw in written):
            return Guess(each)
    shares = {name: _share(written, name, is_common) for name, is_common in _COMMON.items()}
    best = max(shares, key=shares.__getitem__)
    if shares[best] < _SOUND:
        return Guess(western[0])  # of archives, what the standard says
    is_cyrillic = _COMMON[best] is _is_cyrillic
    close = [
        name
        for name in shares
        if shares[name] > shares[best] - _CLEAR and (_COMMON[name] is _is_cyrillic) == is_cyrillic
    ]
    # How many signs are those of words that photographs of products are called by.
    usual = {
        name: sum(sign in _USUAL.get(name, "") for raw in written for sign in raw.decode(name))
        for name in close
    }
    best = max(close, key=lambda name: (usual[name], name == best))
    return Guess(best, tuple(name for name in close if name != best))


def decode_name(raw: bytes, encoding: str) -> str:
    """Return a name in that encoding; in the standard's for archives where it is not valid."""
    try:
        return raw.decode(encoding)
    except (UnicodeDecodeError, LookupError):
        return raw.decode(DOS[0])


def _is_plausible(raw: bytes, encoding: str, western: Sequence[str]) -> bool:
    """Tell whether all that is not ASCII becomes single letters within words of a Latin script.

    Three or more in a row, as Chinese and Japanese names would give, are none.
    """
    try:
        text = raw.decode(encoding)
    except UnicodeDecodeError:
        return False
    signs = _SIGNS if western == WINDOWS else ()
    for at, sign in enumerate(text):
        if sign.isascii():
            continue
        before, after = text[max(at - 1, 0) : at], text[at + 1 : at + 2]
        is_in_a_row = not before.isascii() and not after.isascii()
        is_letter = sign.isalpha() and ord(sign) <= _LAST_LATIN
        if (not is_letter and sign not in signs) or is_in_a_row:
            return False
    return True


def _share(texts: Sequence[bytes], encoding: str, is_common: Callable[[str, bytes], bool]) -> float:
    """Return the share of signs beyond ASCII that are common ones; 0 where a text is not valid."""
    common = total = 0
    for raw in texts:
        try:
            text = raw.decode(encoding)
        except UnicodeDecodeError:
            return 0.0
        for sign in text:
            if not sign.isascii():
                total += 1
                common += is_common(sign, sign.encode(encoding))
    return common / total if total else 0.0


def _is_common_japanese(sign: str, raw: bytes) -> bool:
    # Kana of full width, and the kanji of level 1 (JIS X 0208, rows 16 to 47).
    return "\u3041" <= sign <= "\u30fe" or (len(raw) == 2 and 0x88 <= raw[0] <= 0x97)


def _is_common_chinese(_sign: str, raw: bytes) -> bool:
    # Level 1 of GB 2312: rows 16 to 55, the 3,755 characters in daily use.
    return len(raw) == 2 and 0xB0 <= raw[0] <= 0xD7 and raw[1] >= 0xA1


def _is_common_taiwanese(_sign: str, raw: bytes) -> bool:
    return len(raw) == 2 and 0xA4 <= raw[0] <= 0xC6  # Big5's level 1


def _is_common_korean(_sign: str, raw: bytes) -> bool:
    return len(raw) == 2 and 0xB0 <= raw[0] <= 0xC8 and raw[1] >= 0xA1  # KS X 1001's syllables


def _is_cyrillic(sign: str, _raw: bytes) -> bool:
    return "\u0410" <= sign <= "\u044f" or sign in "\u0401\u0451"


_COMMON: Final[dict[str, Callable[[str, bytes], bool]]] = {
    "cp932": _is_common_japanese,
    "gbk": _is_common_chinese,
    "big5": _is_common_taiwanese,
    "cp949": _is_common_korean,
    "cp1251": _is_cyrillic,
    "cp866": _is_cyrillic,
}

# Of the words good, defective, normal, picture, photograph, test, surface, scratch, product.
_USUAL: Final = {
    "cp932": "良品不合格欠陥正常画像写真検査表面傷製試験",
    "gbk": "良品不合格缺陷正常图像片照检测查表面划痕产样好坏次",
    "big5": "良品不合格瑕疵缺陷正常圖像片照檢測查表面刮痕產樣好壞次",
    "cp949": "정상불량양품사진이미지시험검사표면결함제합격",
}
