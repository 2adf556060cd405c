"""Which labelled images a project lacks before a model can be trained."""

from collections.abc import Iterator
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
