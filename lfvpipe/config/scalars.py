"""What a plain YAML scalar is: the core schema of YAML 1.2, which editors go by as well.

So `yes`, `no` and `on` are text, as are `1:30` and dates, where YAML 1.1 has surprises.
Source: https://yaml.org/spec/1.2.2/#103-core-schema
"""

import math
import re

from lfvpipe.config.tree import Scalar

_WORDS: dict[str, Scalar] = {"": None, "~": None}
_WORDS.update(dict.fromkeys(("null", "Null", "NULL")))
_WORDS.update(dict.fromkeys(("true", "True", "TRUE"), True))
_WORDS.update(dict.fromkeys(("false", "False", "FALSE"), False))

# Without leading zeros: 010 is 8 in YAML 1.1 and 10 in 1.2, so it is text and soon an error.
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,18})")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_SPECIAL = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")


def scalar(text: str) -> Scalar:
    """Return what the plain scalar `text` stands for.

    Raises:
        ValueError: It is infinite, or not a number.
    """
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _SPECIAL.fullmatch(text) or (_FLOAT.fullmatch(text) and math.isinf(float(text))):
        raise ValueError(text)
    return float(text) if _FLOAT.fullmatch(text) else text
