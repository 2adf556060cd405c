"""Globs over member names, the same on every platform."""

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from itertools import pairwise
from pathlib import PurePosixPath

from lfvpipe.images.formats import SUFFIXES

_STAR = "[^/]*"


def matcher(patterns: Iterable[str]) -> Callable[[str], bool]:
    """Return a test whether a member name matches any of `patterns`; no patterns match all.

    ``**`` stands for any folders, ``*`` and ``?`` stay within a name, ``[…]`` is a set. A pattern
    without a slash is matched against the last part of the name alone; ``./*.png`` matches at the
    top, and in no folder. Case does not matter. A name matches itself, whatever signs of globs it
    has in it (``img[1].png``).
    """
    compiled = [glob_pattern(pattern) for pattern in patterns]
    if not compiled:
        return lambda _: True
    return lambda name: any(regex.fullmatch(name) for regex in compiled)


@lru_cache(maxsize=256)
def glob_pattern(pattern: str) -> re.Pattern[str]:
    """Return the regular expression of one glob; see `matcher`."""
    is_at_top = pattern.startswith("./")
    pattern = pattern.removeprefix("./")
    if "/" not in pattern and pattern != "**" and not is_at_top:
        pattern = f"**/{pattern}"
    translated = _translate(pattern)
    if "[" in pattern:
        any_folder = "(?:.*/)?" if pattern.startswith("**/") else ""
        translated += f"|{any_folder}{re.escape(pattern.removeprefix('**/'))}"
    try:
        return re.compile(translated, re.IGNORECASE | re.DOTALL)
    except re.error:  # a set that is none, such as [z-a]: it stands for itself
        return re.compile("(?:.*/)?" + re.escape(pattern.removeprefix("**/")), re.IGNORECASE)


def has_wildcard(pattern: str) -> bool:
    """Tell a glob from a plain name."""
    return any(character in pattern for character in "*?[")


def is_image_name(name: str) -> bool:
    """Tell whether `name` ends like an image that can be prepared."""
    return PurePosixPath(name).suffix.lower() in SUFFIXES


def _translate(pattern: str) -> str:
    """Return the text of the regular expression; `fnmatch` knows no folders, hence by hand.

    Between two stars within a name the first place that fits is as good as any later one: it is
    taken for good (``(?>…)``). Else each star would be tried with every length of those before it.
    """
    parts = re.findall(r"\*\*/|/?\*\*$|\*+|\?|\[!?\]?[^\]]*\]|.", pattern, re.DOTALL)
    texts = [_translate_part(part) for part in parts]
    stars = [number for number, text in enumerate(texts) if text == _STAR]
    for here, after in pairwise(stars):
        between = parts[here + 1 : after]
        if between and not any("/" in part or part.startswith("[!") for part in between):
            texts[here] = "(?>[^/]*?"
            texts[after - 1] += ")"
    return "".join(texts)


def _translate_part(part: str) -> str:
    if part == "**/":
        return "(?:.*/)?"  # no folder, too
    if part.endswith("**"):
        return "/.*" if part.startswith("/") else ".*"  # good/** is nothing of good_old/
    if part.startswith("*"):
        return _STAR
    if part == "?":
        return "[^/]"
    if part.startswith("[") and len(part) > 2:
        # Signs that mean something in sets of regular expressions, and nothing in those of globs.
        is_negated = part.startswith("[!")
        inside = part[2:-1] if is_negated else part[1:-1]
        inside = re.sub(r"[\\\[&~|]|^-|(?<=.-)-", r"\\\g<0>", inside)
        return f"[^{inside}]" if is_negated else f"[{inside}]"
    return re.escape(part)
