"""Words of a list of images that nobody knows: they are asked about, or refused.

A run takes them for types of defects where other images are called good. Beside a word for good
one may as well say that an image shows what is released (``use as is``), or what nobody sorted.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from lfvpipe.cli.questions import ask
from lfvpipe.cli.usage import UsageError
from lfvpipe.dataset.words import is_defect_type
from lfvpipe.engine.phrases import count_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from lfvpipe.cli.starter.choosing import Choices
    from lfvpipe.cli.starter.groups import Kind
    from lfvpipe.cli.starter.listed_sources import Listed
    from lfvpipe.cli.starter.undecided import Asked

_ANSWERS: Mapping[str, Kind] = {
    "good products": "normal",
    "defective products": "anomaly",
    "neither: leave them out": "leave-out",
}


def settle_words(listed: Listed, asked: Asked) -> Choices | None:
    """Return the user's choices with what unknown words of a list stand for; None for no such word.

    Raises:
        UsageError: There is nobody to ask, or too much to be asked.
    """
    counts = {
        word: count for word, count in listed.words_as_types.items() if not is_defect_type(word)
    }
    if not counts:
        return None
    where = listed.files[0].name if len(listed.files) == 1 else f"the {listed.kind}"
    shown = [f"{word} ({count_of(count, 'image')})" for word, count in counts.items()]
    if not asked.may_ask:
        first = ", ".join(shown[:8]) + (", …" if shown[8:] else "")
        raise _refusal(
            f"{where}: some images are called good, and others {first}", listed, counts, asked
        )
    answers = [each for each in _ANSWERS if listed.kind == "table" or _ANSWERS[each] != "leave-out"]
    kinds = dict.fromkeys(counts, "anomaly")
    is_each = len(counts) == 1
    if not is_each:
        rest = ["leave them out"] if len(answers) == len(_ANSWERS) else []
        said = ask(
            f"{where} calls some images good, and others {', '.join(shown)}. Are these types of"
            " defects?",
            ["yes, all of them", "I will say of each", *rest],
            default=1,
        )
        is_each = said == 1
        kinds = dict.fromkeys(counts, "leave-out") if said == 2 else kinds
    if is_each:
        usual = len(answers) - 1 if listed.kind == "table" else None  # never a label
        for word, count in counts.items():
            what = f"the {count_of(count, 'image')} that {where} calls {word}"
            answer = answers[ask(f"What do {what} show?", answers, default=usual)]
            kinds[word] = _ANSWERS[answer]
    choices = asked.choices
    return replace(
        choices,
        normal=(*choices.normal, *(w for w, kind in kinds.items() if kind == "normal")),
        anomaly=(*choices.anomaly, *(w for w, kind in kinds.items() if kind == "anomaly")),
        leave_out=(*choices.leave_out, *(w for w, kind in kinds.items() if kind == "leave-out")),
    )


def _refusal(known: str, listed: Listed, words: Iterable[str], asked: Asked) -> UsageError:
    line = asked.command({"anomaly": [*words]})
    rest = ", and --leave-out for what is neither" if listed.kind == "table" else ""
    return UsageError(
        f"{known}; what that stands for is not known.",
        hint=f"Say it: `{line}` if all of these are types of defects; --normal for what is"
        f" good{rest}.",
    )
