"""Which labelled images and masks a project lacks before a model can be trained."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from lfvpipe.service.quotas import Quotas
from lfvpipe.service.state.contents import Counts


@dataclass(frozen=True)
class Shortage:
    """A dataset with too few images of a label.

    Attributes:
        dataset: ``the dataset`` where it is the only one, else which of the two.
        type: ``train`` or ``test``.
        label: ``normal`` or ``anomaly``.
        found: How many there are.
        least: How many training needs.
    """

    dataset: str
    type: str
    label: str
    found: int
    least: int


@dataclass(frozen=True)
class Masks:
    """What the masks of a dataset show.

    Attributes:
        dataset: See `Shortage`.
        type: Likewise.
        shown: The anomaly types in each, with their colours.
    """

    dataset: str
    type: str
    shown: Sequence[Mapping[str, str]]


@dataclass(frozen=True)
class TypeShortage:
    """A dataset with too few images that show an anomaly type and no other.

    Attributes:
        dataset: See `Shortage`.
        type: Likewise.
        name: Of the anomaly type.
        found: How many there are.
        least: How many training needs.
    """

    dataset: str
    type: str
    name: str
    found: int
    least: int


@dataclass(frozen=True)
class TwoColours:
    """An anomaly type that has one colour here and another one there."""

    name: str
    one: str
    other: str


def type_shortages(quotas: Quotas, train: Masks, test: Masks | None) -> Iterator[TypeShortage]:
    """Yield anomaly types that too few images show alone; others do not count, says the guide.

    Whether a project has types is for the training dataset to say.
    """
    if not any(train.shown):
        return
    single, each_of_two = quotas.min_images_per_label_single, quotas.min_images_per_label
    least = single if test is None else each_of_two
    datasets = [train] if test is None else [train, test]
    types = sorted({name for each in datasets for shown in each.shown for name in shown})
    for each in datasets:
        alone = Counter(next(iter(shown)) for shown in each.shown if len(shown) == 1)
        for name in types:
            if alone[name] < least:
                yield TypeShortage(each.dataset, each.type, name, alone[name], least)


def two_colours(train: Masks, test: Masks | None) -> Iterator[TwoColours]:
    """Yield anomaly types of two colours, each once: a model would not know the other one."""
    found: dict[str, str] = {}
    told: set[str] = set()
    for shown in (*train.shown, *(test.shown if test else ())):
        for name, colour in shown.items():
            known = found.setdefault(name, colour)
            if known != colour and name not in told:
                told.add(name)
                yield TwoColours(name, known, colour)


def shortages(quotas: Quotas, train: Counts, test: Counts | None) -> Iterator[Shortage]:
    """Yield what is missing, in the order in which a training looks at it.

    Args:
        quotas: What is allowed.
        train: Of the training dataset.
        test: Of the test dataset; None where the training dataset is divided.
    """
    if test is None:
        least = quotas.min_single_normal, quotas.min_single_anomaly
        yield from _of_dataset("the dataset", "train", train, *least)
        return
    least = quotas.min_train_normal, quotas.min_train_anomaly
    yield from _of_dataset("the training dataset", "train", train, *least)
    least = quotas.min_test_normal, quotas.min_test_anomaly
    yield from _of_dataset("the test dataset", "test", test, *least)


def _of_dataset(
    name: str, kind: str, counts: Counts, normal: int, anomaly: int
) -> Iterator[Shortage]:
    for label, found, least in (
        ("normal", counts.normal, normal),
        ("anomaly", counts.anomaly, anomaly),
    ):
        if found < least:
            yield Shortage(name, kind, label, found, least)
