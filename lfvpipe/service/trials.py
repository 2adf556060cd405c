"""Trial detections: what people have a model judge, kept until they delete it.

The retired service's console had them, and its API never did. Within bounds: `MOST_IMAGES` of a
trial, `MOST_TRIALS` of a project, and `MOST_BYTES` of photographs that were stored for trials.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lfvpipe.service import auditing
from lfvpipe.service.faults import conflict, invalid, over_quota
from lfvpipe.service.roles import check_admin, check_labelling, present_actor
from lfvpipe.service.state import models, projects, trials
from lfvpipe.service.state.trials import (
    Facts,
    Order,
    Outline,
    Painting,
    Show,
    Trial,
    TrialImage,
    Verified,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from lfvpipe.service.state.database import Database

MOST_IMAGES: Final = 2000  # as documented
MOST_TRIALS: Final = 200
MOST_BYTES: Final = 4 * 1024**3
MOST_CHARACTERS: Final = 100
"""Of a trial's name."""


class Trials:
    """The trial detections of a region; safe to call from many threads.

    Args:
        database: The state.
        clock: Returns epoch seconds.
    """

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock

    def create(self, project: str, name: str, version: str, sources: Sequence[str] = ()) -> int:
        """Begin a trial; return its number.

        Args:
            project: Whose model judges.
            name: As people call it.
            version: The model's.
            sources: Addresses of images to judge; others may be added.

        Raises:
            Fault: There is no such model, there are too many images or trials, the name is none,
                or whoever asks may only look.
        """
        check_labelling("run a trial detection")
        name = " ".join(name.split())
        if not name or len(name) > MOST_CHARACTERS:
            raise invalid(f"a trial detection's name has 1 to {MOST_CHARACTERS} characters")
        if unseen := next((sign for sign in name if not sign.isprintable()), ""):
            raise invalid(f"the name has a character that nobody sees (U+{ord(unseen):04X})")
        if len(sources) > MOST_IMAGES:
            raise _too_many_images(project, len(sources))
        with self._database.write() as tx:
            projects.get(tx, project)
            model = models.get(tx, project, version)
            if len(trials.of_project(tx, project)) >= MOST_TRIALS:
                full = f"project {project} has {MOST_TRIALS} trial detections: delete one first"
                raise over_quota("TRIAL", project, full, quota="TRIALS")
            asked = {
                "ProjectName": project,
                "ModelVersion": str(model.version),
                "TrialName": name,
                "Images": len(sources),
            }
            now = self._clock()
            with auditing.written_down(tx, "StartTrialDetection", asked, now):
                made = trials.create(
                    tx,
                    project=project,
                    name=name,
                    version=model.version,
                    created=now,
                    access_key=present_actor().access_key,
                )
                for source in sources:
                    trials.add(tx, made, source)
        return made

    def of_project(self, project: str) -> list[Trial]:
        """Return a project's trials, the newest first.

        Raises:
            Fault: There is no such project.
        """
        with self._database.read() as tx:
            projects.get(tx, project)
            return trials.of_project(tx, project)

    def get(self, project: str, trial: int) -> Trial:
        """Return a trial.

        Raises:
            Fault: ResourceNotFoundException.
        """
        with self._database.read() as tx:
            return trials.get(tx, project, trial)

    def ids(self) -> set[int]:
        """Return the numbers of all trials of the region."""
        with self._database.read() as tx:
            return trials.ids(tx)

    def images(
        self, project: str, trial: int, show: Show = Show.ALL, order: Order = Order.ADDED
    ) -> list[TrialImage]:
        """Return the images of a trial that are to be shown, in their order.

        Raises:
            Fault: ResourceNotFoundException.
        """
        with self._database.read() as tx:
            trials.get(tx, project, trial)
            return trials.images(tx, trial, show, order)

    def find(self, project: str, trial: int, places: Sequence[int]) -> list[TrialImage]:
        """Return images of a trial by their places, without those that are not there.

        Raises:
            Fault: ResourceNotFoundException: there is no such trial.
        """
        with self._database.read() as tx:
            trials.get(tx, project, trial)
            return trials.find(tx, trial, places)

    def first_waiting(self, project: str, trial: int) -> TrialImage | None:
        """Return the first image of a trial that is to be judged.

        Raises:
            Fault: ResourceNotFoundException.
        """
        with self._database.read() as tx:
            trials.get(tx, project, trial)
            return trials.first_waiting(tx, trial)

    def add(self, project: str, trial: int, source: str, size: int) -> int:
        """Add an image that was stored for a trial, unless it is there; return its place.

        Raises:
            Fault: There is no such trial, it or the room for photographs is full, or whoever asks
                may only look.
        """
        check_labelling("add images to a trial detection")
        with self._database.write() as tx:
            if trials.get(tx, project, trial).total >= MOST_IMAGES:
                raise _too_many_images(project, MOST_IMAGES + 1)
            place = trials.add(tx, trial, source, size)
            if trials.stored_bytes(tx) > MOST_BYTES:
                most = MOST_BYTES // 1024**3
                full = f"trial detections hold {most} GiB of photographs: delete one first"
                raise over_quota("TRIAL", project, full, quota="TRIAL_BYTES")
            return place

    def judge(
        self, trial: int, place: int, *, is_anomalous: bool, confidence: float, facts: Facts
    ) -> None:
        """Write a verdict down; for a trial that was deleted meanwhile nothing is."""
        check_labelling("run a trial detection")
        with self._database.write() as tx:
            trials.judge(tx, trial, place, (is_anomalous, confidence), facts)

    def refuse(self, trial: int, place: int, problem: str) -> None:
        """Write down why an image can have no verdict."""
        check_labelling("run a trial detection")
        with self._database.write() as tx:
            trials.refuse(tx, trial, place, problem)

    def verify(
        self, project: str, trial: int, places: Iterable[int], verified: Verified | None
    ) -> int:
        """Say of verdicts whether they are correct, None for: not verified; return of how many.

        Those of images with a marked anomaly are left out where that would make them normal.

        Raises:
            Fault: There is no such trial, or whoever asks may only look.
        """
        check_labelling("verify verdicts")
        chosen = list(places)
        with self._database.write() as tx:
            found = trials.get(tx, project, trial)
            asked = {
                "ProjectName": project,
                "TrialName": found.name,
                "Verified": verified or "",
                "Images": len(chosen),
            }
            with auditing.written_down(tx, "VerifyTrialDetection", asked, self._clock()):
                return trials.verify(tx, trial, chosen, verified)

    def paint(
        self, project: str, trial: int, place: int, painting: Painting | None, before: str
    ) -> None:
        """Write down where a person marked the anomaly, which verifies that there is one.

        Args:
            project: The trial's.
            trial: Which.
            place: The image's.
            painting: None takes away what was marked; what was verified stays.
            before: The address of the mask that it takes the place of; "" for none.

        Raises:
            Fault: There is no such trial or image, it has no verdict or is in a data set already,
                somebody else marked it meanwhile, or whoever asks may only look.
        """
        check_labelling("mark anomalies")
        with self._database.write() as tx:
            found = trials.get(tx, project, trial)
            image = next(iter(trials.find(tx, trial, [place])), None)
            if image is None or image.is_anomalous is None:
                raise invalid("the image has no verdict, so that there is nothing to correct")
            if image.added is not None:
                raise invalid(f"the image is in the {image.added} data set already: mark it there")
            if before != (image.painting.mask if image.painting else ""):
                marked = "somebody else marked this image meanwhile: load the page again"
                raise conflict("TRIAL", str(trial), marked)
            asked = {
                "ProjectName": project,
                "TrialName": found.name,
                "Image": image.name,
                "Types": ", ".join(sorted(painting.classes)) if painting else "",
            }
            verified = image.verified
            if painting is not None:
                verified = Verified.CORRECT if image.is_anomalous else Verified.INCORRECT
            with auditing.written_down(tx, "MarkTrialDetection", asked, self._clock()):
                trials.paint(tx, trial, place, painting, verified)

    def mark_added(self, trial: int, places: Iterable[int], dataset: str) -> None:
        """Write down to which data set images were added."""
        check_admin("add images")
        with self._database.write() as tx:
            trials.mark_added(tx, trial, places, dataset)

    def delete(self, project: str, trial: int) -> None:
        """Delete a trial; what was stored for it is its caller's to remove.

        Raises:
            Fault: There is no such trial, or whoever asks is no admin.
        """
        check_admin("delete a trial detection")
        with self._database.write() as tx:
            found = trials.get(tx, project, trial)
            asked = {"ProjectName": project, "TrialName": found.name, "Images": found.total}
            with auditing.written_down(tx, "DeleteTrialDetection", asked, self._clock()):
                trials.delete(tx, trial)


def _too_many_images(project: str, count: int) -> Exception:
    many = f"a trial detection takes {MOST_IMAGES} images; these would be {count}"
    return over_quota("TRIAL", project, many, quota="TRIAL_IMAGES")


__all__ = [
    "MOST_BYTES",
    "MOST_IMAGES",
    "MOST_TRIALS",
    "Facts",
    "Order",
    "Outline",
    "Painting",
    "Show",
    "Trial",
    "TrialImage",
    "Trials",
    "Verified",
]
