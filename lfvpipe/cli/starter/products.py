"""Several products in one place, each with good and defective images: a model knows one."""

from __future__ import annotations

import shlex
from collections import defaultdict
from typing import TYPE_CHECKING

from lfvpipe.cli.questions import ask
from lfvpipe.cli.starter.name_reading import is_same_product
from lfvpipe.cli.usage import UsageError
from lfvpipe.engine.phrases import count_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from lfvpipe.cli.starter.groups import Sorting
    from lfvpipe.cli.starter.undecided import Asked

ALL = "all"  # what `--product` says for one product in several folders
MOST_ANSWERS = 12


def settle_products(sorting: Sorting, asked: Asked) -> str:
    """Ask which of several products is meant, or refuse with what to say; "" where that is all.

    Raises:
        UsageError: There is nobody to ask, or the product that was named is not there.
    """
    found = _products(sorting)
    by_name = {name.casefold(): name for name in found}
    if asked.product:
        chosen = by_name.get(asked.product.strip("/").casefold())
        if chosen is None and not (asked.product == ALL):
            raise UsageError(
                f"There is no product {asked.product}.",
                hint=f"There are {', '.join(found)}." if found else "Name folders or archives.",
            )
    elif len(found) < 2:
        return ""
    elif all(map(is_same_product, found)):
        chosen = None
        sorting.rules.append(
            f"{_listed(found)} are taken for one product;"
            f" --product {shlex.quote(next(iter(found)))} takes one"
        )
    else:
        chosen = _answer(found, asked)
    if chosen is not None:
        _leave_others_out(sorting, found, chosen)
    return chosen or ""


def _products(sorting: Sorting) -> Mapping[str, set[str]]:
    """Return the folders side by side that each hold good images, and all images in each."""
    above = {}
    for name in sorting.labels:
        folders = sorting.told[name].removeprefix("./").removesuffix("/**").split("/")[:-1]
        above[name] = [
            each for each in name.split("/")[: len(folders)] if not sorting.part_of(each)
        ]
    common = _common(above.values())
    found: dict[str, set[str]] = defaultdict(set)
    good = set()
    for name, folders in above.items():
        if len(folders) <= common:
            return {}  # some images lie beside the folders
        found[folders[common]].add(name)
        if sorting.labels[name] == "normal":
            good.add(folders[common])
    everything = [n for group in sorting.open for n in group.names] + sorting.masks
    for name in everything:
        folders = [each for each in name.split("/")[:-1] if not sorting.part_of(each)]
        if len(folders) > common and folders[common] in found:
            found[folders[common]].add(name)
    return {name: found[name] for name in sorted(found)} if len(good) > 1 else {}


def _common(paths: Iterable[list[str]]) -> int:
    """Return how many folders all paths begin with."""
    first, *others = sorted(paths) or [[]]
    last = others[-1] if others else first
    same = (at for at, (one, other) in enumerate(zip(first, last, strict=False)) if one != other)
    return next(same, min(len(first), len(last)))


def _answer(found: Mapping[str, set[str]], asked: Asked) -> str | None:
    if not asked.may_ask or len(found) > MOST_ANSWERS:
        first = next(iter(found))
        raise UsageError(
            f"These look like {len(found)} products, each with good images: {_listed(found)}.",
            hint=f"A model knows one product: say which, such as --product {shlex.quote(first)};"
            f" --product {ALL} takes all these folders for one product.",
        )
    answers = [f"{name}/ ({count_of(len(names), 'image')})" for name, names in found.items()]
    question = "A model knows one product, and there seem to be several. Which is it?"
    said = ask(question, [*answers, "these are folders of one product: take all"])
    return [*found, None][said]


def _listed(found: Mapping[str, set[str]]) -> str:
    shown = [f"{name}/" for name in found][:8]
    return ", ".join(shown) + (", …" if len(found) > 8 else "")


def _leave_others_out(sorting: Sorting, found: Mapping[str, set[str]], chosen: str) -> None:
    for product, names in found.items():
        if product == chosen:
            continue
        for name in names:
            sorting.labels.pop(name, None)
            sorting.parts.pop(name, None)
            sorting.left_out[name] = f"another product than {chosen}"
        sorting.masks = [name for name in sorting.masks if name not in names]
        sorting.open = [g for g in sorting.open if not names.issuperset(g.names)]
        sorting.types = [g for g in sorting.types if not names.issuperset(g.names)]
