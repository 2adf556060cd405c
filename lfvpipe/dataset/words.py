"""What people call good and defective, masks, and the parts of a split, in folders and tables.

Words of inspection in the languages of the users that we know of. A word that is not here is never
guessed at: it is named, and the user says what it stands for.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Final, Literal

from lfvpipe.lookout.rules import BACKGROUND_CLASS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lfvpipe.config.spec import Label

Meaning = Literal["normal", "anomaly", "mask", "train", "test"]

_NORMAL = (
    "normal normals good goods ok okay pass passed perfect clean healthy intact conform conforming"
    " accept accepted defectfree nodefect nodefects nondefective undamaged flawless"
    " gut gutteil gutteile io bon bons conforme bueno buenos buona buono goed bra dobry dobre"
    " bonne bonnes conformes buena buenas buon buoni buone bom boa boas goede godkand godkant"
    " dobra iyi saglam uygun годен годный годные годная хорошие норма"
    " 良品 良 良好 正常 合格 合格品 正品 ok品 양품 정상"
)
_ANOMALY = (
    "anomaly anomalies anomalous abnormal bad ng nok notok def defect defects defective fail failed"
    " failure faulty fault faults reject rejects rejected damaged damage broken flaw flaws flawed"
    " scrap nonconforming schlecht schlechtteil schlechtteile nio ausschuss"
    " fehler fehlerhaft defekt"
    " mauvais defaut defauts malo malos defecto defectos defectuoso difetto difettoso scarto slecht"
    " mauvaise mauvaises rebut rebuts defectueux defectueuse nonconforme nonconformes mala malas"
    " defectuosa defectuosas defectuosos rechazado rechazados rechazada rechazadas difettosa"
    " difettosi difettose scarti ruim ruins defeito defeitos defeituoso defeituosos rejeitado"
    " rejeitados fout afkeur afgekeurd daliga underkand wadliwe wadliwy złe vadne vadny kusurlu"
    " брак бракованные дефект дефекты дефектные негодные плохие"
    " 不良 不良品 異常 异常 不合格 不合格品 缺陷 次品 欠陥 ng品 불량 불량품 이상"
)
_MASK = "mask masks groundtruth gt segmentation segmentations maske masken"
_TRAIN = "train training trainset"
_VALIDATION = "val valid validation eval evaluation validierung"
_TEST = f"test testing testset {_VALIDATION}"

# Of what nobody has decided about yet: neither good, nor defective, nor a type of defect.
_UNDECIDED_TEXT = (
    "check recheck retest review pending tbd todo open rework reworked borderline unknown unclear"
    " uncertain unsure undecided unsorted doubtful doubt suspect questionable maybe pruefen prufen"
    " unklar unbekannt offen nacharbeit nachgearbeitet grenzmuster grenzfall verdacht repaired"
    " repariert verifier revoir douteux douteuse dudoso dudosos dudosa dudosas revisar verificare"
    " dubbio dubbi verificar duvida twijfel проверить сомнительные"
    " 要確認 未確認 保留 待检 待定 待确认 보류"
)
_WORDS: Final[dict[Meaning, str]] = {
    "normal": _NORMAL,
    "anomaly": _ANOMALY,
    "mask": _MASK,
    "train": _TRAIN,
    "test": _TEST,
}
_NEGATIONS = frozenset(
    {"not", "no", "non", "un", "without", "nicht", "ohne", "kein", "keine", "sans"}
)


def simplify(text: str) -> str:
    """Return `text` in lower case without accents and signs: ``i.O.`` → io, ``Défaut`` → defaut."""
    plain = unicodedata.normalize("NFKD", text).casefold()
    kept = "".join(sign for sign in plain if sign.isalnum() and not unicodedata.combining(sign))
    return unicodedata.normalize("NFC", kept)


MEANINGS: Final[dict[str, Meaning]] = {
    simplify(word): meaning for meaning, words in _WORDS.items() for word in words.split()
}
_UNDECIDED = frozenset(map(simplify, _UNDECIDED_TEXT.split()))


def words_of(name: str) -> list[str]:
    """Return the words of a name, simplified: ``Class3_def`` → class3, def."""
    parts = re.split(r"[\W_]+|(?<=[a-z])(?=[A-Z])", name)
    return [word for part in parts if (word := simplify(part))]


def is_undecided(name: str) -> bool:
    """Tell whether a name says that nobody has decided yet: ``to check``, ``unklar``."""
    return not _UNDECIDED.isdisjoint(words_of(name))


def meaning_of(name: str) -> Meaning | None:
    """Return what a folder's or an archive's name, or a table's label, says; None if nothing known.

    The whole name first (``not good`` is no ``good``), then its words from the last one on; a
    negation in front of a word turns good into defective and the other way round.
    """
    words = words_of(name)
    whole = MEANINGS.get("".join(words))
    if whole is not None:
        return whole
    for at in range(len(words) - 1, -1, -1):
        found = MEANINGS.get(words[at])
        if found in ("normal", "anomaly") and at and words[at - 1] in _NEGATIONS:
            return "anomaly" if found == "normal" else "normal"
        if found is not None:
            return found
    return None


def is_validation(name: str) -> bool:
    """Tell whether a part of a split is called validation, which counts as test: there are two."""
    words = words_of(name)
    return meaning_of(name) == "test" and not set(_VALIDATION.split()).isdisjoint(words)


def labels_of(name: str) -> dict[Label, str]:
    """Return each label that a name says, with the word that says it; two contradict each other.

    Digits part words: ``p31NG`` says NG. As in `meaning_of` a negation turns a word round.
    """
    words = words_of(re.sub(r"\d+", " ", name))
    found: dict[Label, str] = {}
    at = 0
    while at < len(words):
        length, label = _longest_label(words[at : at + 3])
        start = at
        if label and at and words[at - 1] in _NEGATIONS:
            label, start = "anomaly" if label == "normal" else "normal", at - 1
        if label:
            found.setdefault(label, " ".join(words[start : at + length]))
        at += length
    return found


def _longest_label(words: list[str]) -> tuple[int, Label | None]:
    """Return of how many of these words a label is made, and which: n, i, o; 1 and None if none."""
    for length in range(len(words), 0, -1):
        meaning = MEANINGS.get("".join(words[:length]))
        if meaning == "normal" or meaning == "anomaly":
            return length, meaning
    return 1, None


def marks_defect(type_: str, words: Mapping[str, Label]) -> bool:
    """Tell whether a class marks defects: some mark the product, or what is behind it.

    Args:
        type_: The class, as an annotation tool or a table calls it.
        words: What the user said that classes stand for.
    """
    if type_ in words:
        return words[type_] == "anomaly"
    # The whole name: a defect may be called clean_cut, or missing ok label.
    is_normal = MEANINGS.get("".join(words_of(type_))) == "normal"
    return not is_normal and type_.casefold() != BACKGROUND_CLASS.casefold()
