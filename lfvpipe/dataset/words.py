"""What people call good and defective, masks, and the parts of a split, in folders and tables.

Words of inspection in the languages of the users that we know of. A name says something only where
every word of it is understood: what is not known beside a word for good or defective may take it
back (``pas bon``, ``false ok``, ``bad lighting``), and then nobody has said what the images show.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Literal

from lfvpipe.lookout.rules import BACKGROUND_CLASS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from lfvpipe.config.spec import Label

Word = Literal["normal", "anomaly", "mask", "train", "test"]
Meaning = Literal["normal", "anomaly", "mask", "train", "test", "undecided"]


def simplify(text: str) -> str:
    """Return `text` in lower case without accents and signs: ``i.O.`` → io, ``Défaut`` → defaut."""
    plain = unicodedata.normalize("NFKD", text).casefold().replace("\u0131", "i")
    kept = "".join(sign for sign in plain if sign.isalnum() and not unicodedata.combining(sign))
    return unicodedata.normalize("NFC", kept)


def _set(text: str) -> frozenset[str]:
    return frozenset(map(simplify, text.split()))


_NORMAL = (
    "normal normals good goods ok okay pass passed perfect clean healthy intact conform conforming"
    " accept accepted defectfree nodefect nodefects nondefective undamaged flawless unbroken"
    " gut gutteil gutteile io bon bons conforme bueno buenos buona buono goed bra dobry dobre"
    " bonne bonnes conformes buena buenas buon buoni buone bom boa boas goede godkand godkant"
    " dobra iyi saglam uygun годен годный годные годная хорошие норма godkendt godkjent"
    " gute guter gutes fehlerfrei fehlerfreie fehlerlos defektfrei mangelfrei maengelfrei makellos"
    " einwandfrei tadellos inordnung unbeschadigt unbeschaedigt unauffallig unauffaellig undefekt"
    " hatasiz kusursuz hibatlan bezvadny bezvadne megfelelo"
    " 良品 良 良好 正常 合格 合格品 正品 ok品 양품 정상"
    " 无缺陷 無缺陷 没有缺陷 无异常 無異常 欠陥なし 異常なし 不良なし 결함없음 불량없음 이상없음"
)
_ANOMALY = (
    "anomaly anomalies anomalous abnormal bad ng nok notok def defect defects defective fail failed"
    " failure faulty fault faults reject rejects rejected damaged damage broken flaw flaws flawed"
    " scrap nonconforming nonconform schlecht schlechte schlechtteil schlechtteile nio ausschuss"
    " fehler fehlerhaft fehlerhafte defekt defekte beschadigt beschaedigt auffallig auffaellig"
    " mangel maengel mangelhaft ungut unclean unhealthy unaccepted unpassed"
    " mauvais defaut defauts malo malos defecto defectos defectuoso difetto difettoso scarto slecht"
    " mauvaise mauvaises rebut rebuts defectueux defectueuse nonconforme nonconformes mala malas"
    " defectuosa defectuosas defectuosos rechazado rechazados rechazada rechazadas difettosa"
    " difetti difettosi difettose scarti ruim ruins defeito defeitos defeituoso defeituosos"
    " rejeitado rejeitados fout afkeur afgekeurd daliga underkand wadliwe wadliwy złe vadne vadny"
    " kusurlu hatali defecte fejl"
    " брак бракованные дефект дефекты дефектов дефектные негодные негоден плохие"
    " 不良 不良品 異常 异常 不合格 不合格品 缺陷 次品 欠陥 ng品 불량 불량품 이상 불합격 결함"
    " 不ok 非ok 不好 未合格"
)
_MASK = "mask masks groundtruth gt segmentation segmentations maske masken"
_TRAIN = "train training trainset"
_VALIDATION = "val valid validation eval evaluation validierung"
_TEST = f"test testing testset {_VALIDATION}"

# Of what nobody has decided about yet, or what is no product as it is: neither good, nor defective,
# nor a type of defect.
_UNDECIDED_TEXT = (
    "check checked pending tbd todo open borderline unknown unclear uncertain unsure undecided"
    " unsorted doubtful doubt suspect suspected questionable maybe perhaps probably possibly"
    " pruefen prufen uberprufen ueberpruefen unklar unbekannt offen grenzmuster grenzfall grenze"
    " verdacht verifier revoir douteux douteuse dudoso dudosos dudosa dudosas revisar verificare"
    " dubbio dubbi verificar duvida twijfel проверить сомнительные"
    " false falsch falsche falscher falsches faux fausse falso falsa falsos falsas valse falsk"
    " ложный ложные ложно fixed resolved behoben overkill fake disputed strittig fraglich"
    " evtl eventuell eventuellement vielleicht moglich moeglich hold quarantine quarantane gesperrt"
    " trash deleted geloscht geloescht papierkorb muell ignore ignored befund golden goldmuster"
    " acceptable akzeptabel tolerable tolerated tolerierbar acceptables aceptable aceptables"
    " accettabile toleriert allowed allowable permissible zulassig zulaessig erlaubt harmless"
    " harmlos unkritisch uncritical negative negatives negativ positive positives positiv"
    " none null nothing nichts rien nada nulla leer"
    " 要確認 未確認 保留 待检 待定 待确认 보류 過杀 过杀 誤ng 误判 許容"
)
# Words that begin so are of that kind, too.
_UNDECIDED_STEMS: Final = (
    "recheck", "reinspect", "reexamin", "retest", "review", "remeasur", "rework", "repair",
    "repar", "instandgesetz", "uberarbeit", "ueberarbeit",
    "nachgepr", "nachpru", "nachkontroll", "nacharbeit", "nachgearbeit", "nachmess",
    "klarung", "klaerung", "abklar", "abklaer", "vermut", "wahrscheinlich", "unsicher", "angeblich",
    "pseudo", "fehlalarm", "falschalarm", "falschausschuss", "scheinfehler", "korrigiert",
    "simul", "synthet", "kunstlich", "kuenstlich", "artificial", "wrongly", "misclass", "mislabel",
    "predict",
)  # fmt: skip
_WORDS: Final[dict[Word, str]] = {
    "normal": _NORMAL,
    "anomaly": _ANOMALY,
    "mask": _MASK,
    "train": _TRAIN,
    "test": _TEST,
}
# In front of a word they turn it round for certain: not good, no defect.
_NOT = _set("not no non nicht pas niet ikke ej inte icke nie nao nem neni не kein keine keinen")
_WITHOUT = _set(
    "no non without nicht ohne kein keine keinen sans sin ningun ninguna aucun aucune senza nessun"
    " nessuna sem nenhum nenhuma niet geen zonder ikke ingen inga ej inte icke utan uden nie nao"
    " nem neni bez fara zero не без not pas pasde freeof freivon"
)
# Not bad is not good yet.
_MILD = _set("bad schlecht schlechte mauvais mauvaise malo mala slecht ruim")
# They take a word back, or half of it; never a product's name.
_HEDGES = _set(
    "almost nearly quite mostly partly but or and fast fest presque casi quasi bijna"
    " conditional conditionally bedingt kaum hardly barely never jamais isnt arent wasnt longer"
    " less weniger wrong ei ne nu ni un brak former ehemals vorher nachher before after ex"
    " once semi half halb too zu alarm degil free frei freie los removed entfernt absent gone weg"
    " beanstandet beanstandung issue issues wrong finding findings"
)
# What was passed, and should not have been: they deny good alone.
_ESCAPED = _set(
    "escape escapes escaped schlupf reklamiert reklamierte reklamation reklamationen complaint"
    " complaints claim claims claimed returned returns retoure retouren retour retours reclamation"
    " reclamations reclamo reclamos reclamacion reclamaciones reclamado reclami reklamacja"
    " reklamacje feldausfall feldausfalle"
)
# What was mended since: they deny defective alone.
_AFTERWARDS = _set("after afterwards nachher danach apres despues dopo depois etter efter")
# Beside a word for good or defective they say nothing of what the images show.
_NEUTRAL = _set(
    "image images img imgs photo photos pic pics picture pictures part parts piece pieces product"
    " products sample samples data dataset set bild bilder foto fotos teil teile png jpg jpeg raw"
    " only all folder class klasse label status result resultat ergebnis verdict urteil quality"
    " category group piezas pieza imagenes imagen immagini pezzi pezzo"
    " imagem imagens peca pecas stuck stueck"
    " monday tuesday wednesday thursday friday saturday sunday montag dienstag mittwoch donnerstag"
    " freitag samstag sonntag january february march april june july august september october"
    " november december januar februar maerz marz mai juni juli oktober dezember mon tue wed thu"
    " fri sat left right top bottom front back side links rechts oben unten vorne hinten seite view"
    " ansicht camera kamera cam line linie station batch charge lot run day tag week woche shift"
    " schicht"
)
# Types of defects by words of many products. A word that may name a product, a view or a way of
# making it as well (cut, fold, oil, missing, glue) is none of them.
_TYPES = _set(
    "scratch scratches scratched scrape scrapes scuff scuffs scuffed gouge gouges dent dents dented"
    " ding dings crack cracks cracked fracture fractures fractured breakage hole holes pinhole"
    " pinholes stain stains stained chip chips chipped chipping burr burrs bent deformed"
    " deformation warped spot spots blemish blemishes bubble bubbles blister blisters blistering"
    " void voids pore pores porosity pit pits pitting pitted rust rusty corrosion corroded"
    " contamination contaminations contaminated dirt dirty smudge smudges smear smears"
    " discoloration discolouration discolored discoloured burnt burned scorched torn tear tears"
    " wrinkle wrinkles crease creases creased misaligned misalignment misplaced leak leaking"
    " crushed squeezed nick nicks inclusion inclusions delamination delaminated peeling peeled"
    " flaking misprint crazing"
    " kratzer zerkratzt verkratzt schramme schrammen riss risse gerissen beule beulen delle dellen"
    " loch locher loecher lunker poren fleck flecken grat rost rostig korrosion bruch bruche"
    " gebrochen ausbruch ausbruche abplatzung abplatzungen absplitterung verschmutzung"
    " verschmutzungen verschmutzt verfarbung verfarbungen verfaerbung verformung verformt verbogen"
    " verbrannt blase blasen einschluss einschlusse druckstelle druckstellen schlagstelle"
    " schlagstellen kerbe kerben riefe riefen undicht"
    " rayure rayures fissure fissures bosse bosses tache taches trou trous bavure bavures rouille"
    " deformee salissure salissures aranazo aranazos grieta grietas abolladura abolladuras mancha"
    " manchas agujero agujeros rebaba rebabas oxido rotura roturas burbuja burbujas"
    " graffio graffi crepa crepe ammaccatura ammaccature macchia macchie ruggine rottura"
    " risco riscos arranhao arranhoes trinca trincas rachadura rachaduras amassado rebarba ferrugem"
    " kras krassen deuk deuken barst barsten scheur scheuren vlek vlekken roest braam bramen"
    " rysa rysy pekniecie pekniecia wgniecenie plama plamy rdza repa repor spricka sprickor ridse"
    " ridser cizik catlak skrabanec prasklina karc"
    " царапина царапины трещина трещины вмятина вмятины скол сколы пятно пятна ржавчина"
    " 傷 キズ きず 打痕 割れ クラック 欠け 汚れ バリ 錆 へこみ シミ 異物 変形 気泡"
    " 划痕 劃痕 裂纹 裂痕 凹痕 凹坑 缺口 污渍 脏污 毛刺 生锈 变形 破损 异物 气泡"
    " 스크래치 긁힘 균열 찍힘 얼룩 오염 기포 변형"
)
# Beside a word for a type of defects they say where it is, or how large.
_QUALIFYING = _set(
    "large small big deep long short surface edge edges corner inner outer inside outside upper"
    " lower centre center gross grosse klein kleine tief tiefe lang lange kurz kurze oberflache"
    " oberflaeche rand kante kanten ecke ecken innen aussen"
)
# Beside them other words say what is broken, which is a type of defect: broken teeth.
_DESCRIBING = _set("broken damage damaged flaw flaws fault faults defect defects fehler defekt")
_TAKEN_BACK = re.compile(
    r"[?¿\uff1f~≈≠¬%]|(?:^|\s)[!^](?=\w)|(?:^|\s)0\s+(?=[^\W\d])"
    r"|[=:]\s*(?:0|no|none|false)\b|\b(?:none|null)\b"  # defect=0, defect: none
    r"|[^\W\d_][\s_(\[-]+0[)\]]?$",  # good 0: the number nought, or no
    re.IGNORECASE,
)
_IDEOGRAPHS = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_TYPE_ENDS = ("不良", "不良品", "缺陷", "欠陥", "異常", "异常", "불량", "결함")
_DENYING_SIGNS = "不无無非没未免誤误假虚疑零"


MEANINGS: Final[dict[str, Word]] = {
    simplify(word): meaning for meaning, words in _WORDS.items() for word in words.split()
}
_UNDECIDED = _set(_UNDECIDED_TEXT)


def words_of(name: str) -> list[str]:
    """Return the words of a name, simplified: ``Class3_def`` → class3, def; ``isn't`` → isnt."""
    # Signs over letters may be characters of their own, which would part words.
    name = "".join(sign for sign in name if not unicodedata.combining(sign))
    name = re.sub(r"(?<=[A-Za-z])['\u2019](?=[a-z]\b)", "", name)
    parts = re.split(r"[\W_]+|(?<=[a-z])(?=[A-Z])", name)
    return [word for part in parts if (word := simplify(part))]


def is_undecided(name: str) -> bool:
    """Tell whether a name says that nobody has decided yet: ``to check``, ``unklar``."""
    return any(word in _UNDECIDED or word.startswith(_UNDECIDED_STEMS) for word in words_of(name))


Kind = Literal[
    "normal", "anomaly", "mask", "train", "test", "negation", "type", "neutral", "unknown"
]


@dataclass(frozen=True)
class _Token:
    """A word, or several that are one: n, i, o.

    Attributes:
        kind: What it says, a negation in front of it taken into account.
        words: It, with that negation.
    """

    kind: Kind
    words: tuple[str, ...]


@lru_cache(maxsize=4096)
def _tokens(words: tuple[str, ...]) -> tuple[_Token, ...]:
    """Return what the words of a name say one after another."""
    found: list[_Token] = []
    at = 0
    while at < len(words):
        token = _longest(words[at:])
        before, length = (found[-1] if found else None), len(token.words)
        if before and before.kind == "negation" and token.kind in ("normal", "anomaly"):
            token = _turned(before, token)
            found.pop()
        found.append(token)
        at += length
    return tuple(found)


def _longest(words: tuple[str, ...]) -> _Token:
    """Return the longest beginning of words that is known: n, i, o."""
    for length in range(min(4, len(words)), 0, -1):
        joined, taken = "".join(words[:length]), words[:length]
        if joined in MEANINGS:
            return _Token(MEANINGS[joined], taken)
        if length <= 2 and (joined in _NOT or joined in _WITHOUT):
            return _Token("negation", taken)
    word = words[0]
    if word in _TYPES:
        return _Token("type", words[:1])
    is_neutral = word in _NEUTRAL or any(sign.isdecimal() for sign in word)
    return _Token("neutral" if is_neutral else "unknown", words[:1])


def _turned(negation: _Token, token: _Token) -> _Token:
    """Return what a word with a negation in front of it says."""
    said, words = "".join(negation.words), (*negation.words, *token.words)
    if token.kind == "normal":
        return _Token("anomaly" if said in _NOT else "unknown", words)
    is_mild = not _MILD.isdisjoint(token.words)
    return _Token("normal" if said in _WITHOUT and not is_mild else "unknown", words)


def meaning_of(name: str, products: Collection[str] = ()) -> Meaning | None:
    """Return what a folder's or an archive's name, or a table's label, says; None if nothing known.

    It is undecided where a word that is not understood stands beside one for good or defective:
    that may take it back.

    Args:
        name: A name.
        products: Words that name the product (`product_words`).
    """
    words = tuple(words_of(name))
    tokens = [t for t in _tokens(words) if t.kind != "type" or t.words[0] not in products]
    kinds = {token.kind for token in tokens}
    labels = kinds & {"normal", "anomaly"}
    whole = MEANINGS.get("".join(words))
    if _TAKEN_BACK.search(name) and (labels or "type" in kinds):
        return "undecided"
    if whole is not None:
        return whole
    if is_undecided(name) or "negation" in kinds:
        return "undecided"  # no issues, no cap: good or defective, for all that anybody knows
    unknown = [w for token in tokens if token.kind == "unknown" for w in token.words]
    unknown = [word for word in unknown if word not in products]
    if "type" in kinds and not _HEDGES.isdisjoint(unknown):
        return "undecided"  # scratch-free
    if any(MEANINGS.get(word) in ("normal", "anomaly") for word in unknown):
        return "undecided"  # a negation that turns nothing round for certain: not bad
    if not labels:
        return _without_label(tokens, unknown)
    if len(labels) > 1 or ("normal" in labels and "type" in kinds):
        return "undecided"
    if unknown and not (words[-1] == "def" and _HEDGES.isdisjoint(unknown)):  # cups_def
        return None if _describes(tokens, unknown) else "undecided"
    return "normal" if "normal" in labels else "anomaly"


def _without_label(tokens: Sequence[_Token], unknown: Sequence[str]) -> Meaning | None:
    """Return what a name without a word for good or defective says."""
    if any(map(_hides_label, unknown)):
        return "undecided"
    for kind in ("mask", "test", "train"):
        if any(token.kind == kind for token in tokens):
            return kind
    return None


def _hides_label(word: str) -> bool:
    """Tell whether a word that is not known has one in it that is: 誤NG, rissfrei."""
    if _IDEOGRAPHS.search(word):
        is_type = word.endswith(_TYPE_ENDS) and word[0] not in _DENYING_SIGNS
        is_denied = any(sign in word for sign in (*_DENYING_SIGNS, "なし", "ない", "없"))
        return not is_type and (is_denied or any(
            known in word for known, meaning in MEANINGS.items()
            if meaning in ("normal", "anomaly") and (len(known) > 1 or known == "良")
        ))  # fmt: skip
    stem = re.sub(r"(?:frei|freie|free|less|los)$", "", word)
    if stem != word:
        return stem in _TYPES or MEANINGS.get(stem) == "anomaly"
    rest = re.sub(r"^(?:un|non|nie|ne)", "", word)
    return rest != word and (rest in _TYPES or MEANINGS.get(rest) in ("normal", "anomaly"))


def _describes(tokens: Sequence[_Token], unknown: Sequence[str]) -> bool:
    """Tell whether the words beside a word for a defect say what is defective."""
    labels = [token for token in tokens if token.kind in ("normal", "anomaly")]
    return _HEDGES.isdisjoint(unknown) and all(
        len(token.words) == 1 and token.words[0] in _DESCRIBING for token in labels
    )


def product_words(names: Iterable[str]) -> frozenset[str]:
    """Return the words in names side by side that name the product, since all have them.

    ``cup_ok`` and ``cup_ng`` are about cups; beside a plain ``ok`` another word says something of
    its own: ``presque ok``.
    """
    rests: dict[frozenset[str], set[str]] = {}
    types: list[frozenset[str]] = []
    for name in set(names):
        tokens = _tokens(tuple(words_of(name)))
        labels = {token.kind for token in tokens} & {"normal", "anomaly"}
        if not labels and any(token.kind in ("mask", "train", "test") for token in tokens):
            continue
        rest = frozenset(w for token in tokens if token.kind == "unknown" for w in token.words)
        if not labels and not rest:
            continue  # a number, img_1: it says nothing of the others
        rests.setdefault(rest, set()).update(labels or {"none"})
        types.append(frozenset(w for t in tokens if t.kind == "type" for w in t.words))
    # chip_ok and chip_ng are about chips, though a chip may be a defect.
    said = set().union(*rests.values())
    of_all = frozenset.intersection(*types) if said == {"normal", "anomaly"} else frozenset()
    if not rests or frozenset() in rests:
        return of_all
    alike = [rest for rest, said in rests.items() if len(said) > 1]
    in_all = frozenset.intersection(*rests) if len(rests) > 1 else frozenset()
    found = of_all.union(*alike, in_all)
    return frozenset(word for word in found - _HEDGES - MEANINGS.keys() if not is_undecided(word))


def part_of(name: str) -> Literal["train", "test"] | None:
    """Return which part of a split a name says; the last word that says one."""
    words = words_of(name)
    for word in ("".join(words), *reversed(words)):
        meaning = MEANINGS.get(word)
        if meaning == "train" or meaning == "test":
            return meaning
    return None


def has_other_words(name: str, products: Collection[str] = ()) -> bool:
    """Tell whether words that are not known stand in a name: an ``EOL test`` is a station's."""
    unknown = (t.words for t in _tokens(tuple(words_of(name))) if t.kind == "unknown")
    return any(word not in products for words in unknown for word in words)


def is_validation(name: str) -> bool:
    """Tell whether a part of a split is called validation, which counts as test: there are two."""
    words = words_of(name)
    return part_of(name) == "test" and not set(_VALIDATION.split()).isdisjoint(words)


_ALSO_TYPES = _set("broken damage damaged flaw fehler defekt")


def may_name_type(word: str, products: Collection[str] = ()) -> bool:
    """Tell whether a word of a list that makes an image defective may be its type of defect.

    Numbers, words for whatever is defective, and words that are about a verdict are none.
    """
    return bool(word) and not word.isdecimal() and meaning_of(word, products) is None


def is_any_defect(name: str) -> bool:
    """Tell a name of whatever is defective (bad, not ok) from one of a type of defects (broken)."""
    tokens = _tokens(tuple(words_of(name)))
    said = [token for token in tokens if token.kind == "anomaly"]
    has_type = any(token.kind == "type" for token in tokens)
    return bool(said) and not has_type and all(_ALSO_TYPES.isdisjoint(t.words) for t in said)


def is_defect_type(name: str) -> bool:
    """Tell whether a name is known to be that of a type of defects: each word of it is understood.

    That a folder lies beside good products says nothing yet: it may hold what is acceptable, or
    what nobody has looked at.
    """
    if meaning_of(name) == "undecided":
        return False
    tokens = _tokens(tuple(words_of(name)))
    is_known = [token.kind in ("type", "anomaly") or _ends_as_type(token) for token in tokens]
    return any(is_known) and all(
        known or token.kind == "neutral" or not _QUALIFYING.isdisjoint(token.words)
        for known, token in zip(is_known, tokens, strict=True)
    )


def _ends_as_type(token: _Token) -> bool:
    """Tell a compound that is written without blanks and names a type of defects: 焊接不良."""
    (word, *others) = token.words
    return not others and word.endswith(_TYPE_ENDS) and not _hides_label(word)


def labels_of(name: str) -> dict[Label, str]:
    """Return each label that a name says, with the word that says it; two contradict each other.

    Digits part words: ``p31NG`` says NG. As in `meaning_of` a negation turns a word round.
    """
    found: dict[Label, str] = {}
    for token in _tokens(tuple(words_of(re.sub(r"\d+", " ", name)))):
        if token.kind == "normal" or token.kind == "anomaly":
            found.setdefault(token.kind, " ".join(token.words))
    return found


def doubt_in(name: str, products: Collection[str] | None = None) -> str:
    """Return the word of a name that may take back what another says of good or defective.

    Args:
        name: A name with a word for good or defective in it; for others there is none.
        products: Words that name the product: any word that is not understood is returned. None
            where something else says the same, so that only words that take back count.
    """
    tokens = _tokens(tuple(words_of(re.sub(r"\d+", " ", name))))
    unknown = [token.words for token in tokens if token.kind == "unknown"]
    turned = next((" ".join(words) for words in unknown if len(words) > 1), "")
    if turned or not labels_of(name):
        return turned
    known = (word for (word,) in unknown if word in _HEDGES or is_undecided(word))
    others = (word for (word,) in unknown if products is not None and word not in products)
    return next(known, "") or next(others, "")


def defect_word(name: str) -> str:
    """Return the first word of a name that says defective, or names a type of defects; or ""."""
    tokens = _tokens(tuple(words_of(re.sub(r"\d+", " ", name))))
    return next((" ".join(t.words) for t in tokens if t.kind in ("anomaly", "type")), "")


def denial_in(name: str, label: Label, products: Collection[str] = ()) -> str:
    """Return the word of a name that may deny what a folder above says of the images; or "".

    Words for the other label are no part of it (`labels_of`).

    Args:
        name: Of a folder, or of a file without its ending.
        label: What the folder above says.
        products: Words that name the product.
    """
    tokens = _tokens(tuple(words_of(re.sub(r"\d+", " ", name))))
    before: Kind = "unknown"
    for token in tokens:
        word = token.words[0]
        is_type = token.kind == "type" and before != "negation"
        is_denial = is_type or word in _ESCAPED if label == "normal" else word in _AFTERWARDS
        if (is_denial or is_undecided(word)) and word not in products:
            return word
        before = token.kind
    return ""


def undecided_word(name: str) -> str:
    """Return the first word of a name that says that nobody has decided yet; or ""."""
    return next(filter(is_undecided, words_of(name)), "")


def is_uncertain(name: str, label: Label, harmless: Collection[str] = ()) -> bool:
    """Tell whether the name of a folder takes back, in part or whole, that what is in it is so.

    Args:
        name: A name: ``to check``, ``scratch-free``.
        label: What a folder above, or a layout, says of the images.
        harmless: Words that need not be understood beside one for `label`.
    """
    says_so = label == "anomaly" and "anomaly" in labels_of(name)
    is_open = meaning_of(name, harmless) == "undecided" and not says_so
    return is_open or is_undecided(name) or bool(doubt_in(name))


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
