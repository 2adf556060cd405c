"""The service: one state folder, one object store, any number of clients."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from lfvpipe.detector import load_detector
from lfvpipe.detector.protocol import DEFAULT as DEFAULT_DETECTOR
from lfvpipe.service.alarms import Alarms
from lfvpipe.service.dispatch import Dispatcher
from lfvpipe.service.images import DatasetImages
from lfvpipe.service.jobs import cancelled
from lfvpipe.service.jobs.scheduler import Scheduler
from lfvpipe.service.jobs.training.launcher import Launch
from lfvpipe.service.judging import Judge
from lfvpipe.service.keeping import VerdictKeeper
from lfvpipe.service.operations.base import OperationContext
from lfvpipe.service.operations.datasets import Datasets
from lfvpipe.service.operations.detection import Detection
from lfvpipe.service.operations.hosting import Hosting
from lfvpipe.service.operations.models import Models
from lfvpipe.service.operations.packaging import Packaging
from lfvpipe.service.operations.projects import Projects
from lfvpipe.service.operations.tags import Tags
from lfvpipe.service.protocol.gateway import Gateway
from lfvpipe.service.protocol.model import service_model
from lfvpipe.service.protocol.serializer import Response
from lfvpipe.service.quotas import Quotas, read_quotas
from lfvpipe.service.roles import OWNER, acting, check_admin
from lfvpipe.service.runtime import open_runtime
from lfvpipe.service.state import changes, datasets, models, packaging_jobs
from lfvpipe.service.state.changes import Change
from lfvpipe.service.tally import Tally
from lfvpipe.service.throttle import Throttle
from lfvpipe.service.trials import Trials
from lfvpipe.service.versions import ModelVersions
from lfvpipe.storage import Buckets

if TYPE_CHECKING:
    from lfvpipe.detector import Detector


class Service:
    """Lookout for Vision over one state folder; safe with other processes at the same folder.

    Args:
        state_dir: Made when absent.
        buckets: Where manifests and images are read and evaluation files written.
        region: What ARNs name.
        quotas: What is allowed; default: `limits`, changed by ``quotas.json`` in the folder.
        limits: How many images a training takes: ``documented`` or ``open``.
        detector: The name of the detector of new models; each model keeps to its own.
        stand_in: Stands in for every detector; trainings then run in threads of this process.
        launch: Starts a training worker in another way.
        isolated: The service is for others: hosted models live in processes of their own and
            come back after a restart, and calls may be throttled. Else it serves its caller: a
            model with a single inference unit is asked within this process.
        trains: Starts training workers, also for trainings whose worker died.
        clock: Returns epoch seconds.
        keeper: Keeps what clients ask about; None keeps nothing.

    Raises:
        UserError: The folder cannot be used, or there is no such detector.
    """

    def __init__(
        self,
        state_dir: Path,
        buckets: Buckets,
        *,
        region: str,
        quotas: Quotas | None = None,
        limits: str = "documented",
        detector: str = DEFAULT_DETECTOR,
        stand_in: "Detector | None" = None,
        launch: Launch | None = None,
        isolated: bool = True,
        trains: bool = True,
        clock: Callable[[], float] = time.time,
        keeper: VerdictKeeper | None = None,
    ) -> None:
        allowed = quotas or read_quotas(state_dir, limits, cancel_trainings=not isolated)
        if detector != DEFAULT_DETECTOR:
            load_detector(detector)  # to refuse an unknown name before there is a model of it
        self._runtime = open_runtime(
            state_dir, allowed, clock=clock, detector_name=detector, stand_in=stand_in
        )
        self._runtime.remove_scratch_of_killed()
        self._runtime.remove_files_of_deleted_models()
        cancelled.forget_old(self._runtime)
        self.region = region
        self._scheduler = Scheduler(self._runtime, launch, isolated=isolated, trains=trains)
        self._tally = Tally(self._runtime.database, clock)
        counting = self._tally if isolated else None
        context = OperationContext(
            self._runtime, self._scheduler, buckets, region, counting, keeper
        )
        groups = tuple(
            group(context)
            for group in (Projects, Datasets, Models, Hosting, Detection, Tags, Packaging)
        )
        model = service_model()
        throttle = Throttle(allowed.requests_per_second if isolated else None)
        self._gateway = Gateway(model, Dispatcher(model, self._runtime, groups, throttle))
        self._buckets = buckets
        self._images = DatasetImages(self._runtime.database, allowed, clock, buckets)
        self._judge = Judge(self._runtime)
        self._versions = ModelVersions(self._runtime, self._scheduler)
        self._trials = Trials(self._runtime.database, clock)
        self._alarms = Alarms(self._runtime)
        self._keeper = keeper
        self._scheduler.idleness.stop_idle()  # rather than have them back
        self.resume()
        if isolated:  # one within its caller looks when it is opened
            self._scheduler.idleness.watch()

    @property
    def quotas(self) -> Quotas:
        """What is allowed."""
        return self._runtime.quotas

    @property
    def folder(self) -> Path:
        """The folder of the region's state."""
        return self._runtime.state_dir

    @property
    def buckets(self) -> Buckets:
        """Where images and manifests are."""
        return self._buckets

    @property
    def images(self) -> DatasetImages:
        """The images of the datasets, for people who look at them."""
        return self._images

    @property
    def judge(self) -> Judge:
        """Judges images with trained models, hosted or not, for people who look at them."""
        return self._judge

    @property
    def versions(self) -> ModelVersions:
        """The model versions, for people who look at them."""
        return self._versions

    @property
    def trials(self) -> Trials:
        """What people had models judge, to try them."""
        return self._trials

    @property
    def keeper(self) -> VerdictKeeper | None:
        """What keeps verdicts that clients asked for; None where nobody wants that."""
        return self._keeper

    @property
    def alarms(self) -> Alarms:
        """What passed a limit, and whether that was told."""
        return self._alarms

    @property
    def tally(self) -> Tally:
        """How many images clients had judged."""
        return self._tally

    def clock(self) -> float:
        """Return the present moment in epoch seconds, by the clock that this service goes by."""
        return self._runtime.clock()

    def handle(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> Response:
        """Answer one request: its status, headers and body. Safe to call from many threads.

        It is carried out for whoever `roles.acting` names in this thread, and refused for nobody.
        """
        return self._gateway.handle(method, url, headers, body)

    def handle_for_owner(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes
    ) -> Response:
        """Answer a request of whoever has the state folder itself; see `handle`."""
        with acting(OWNER):
            return self.handle(method, url, headers, body)

    def resume(self) -> None:
        """Take up what a process that died, or another one's end, left unfinished.

        All that is not at rest is shown to the scheduler, which passes over what somebody is at.
        """
        with self._runtime.database.read() as tx:
            busy_datasets = datasets.in_progress(tx)
            unsettled_models = models.unsettled(tx)
            unfinished_jobs = packaging_jobs.unfinished(tx)
        for dataset in busy_datasets:
            self._scheduler.reconcile_dataset(dataset)
        for model in unsettled_models:
            self._scheduler.reconcile_model(model)
        for job in unfinished_jobs:
            self._scheduler.reconcile_packaging_job(job)

    def model_counts(self) -> Mapping[str, int]:
        """Return how many models there are by status; one short read, from any thread.

        Raises:
            sqlite3.Error: The state cannot be read.
        """
        with self._runtime.database.read() as tx:
            return models.counts_by_status(tx)

    def changes(
        self, *, before: int | None = None, project: str = "", limit: int = 100
    ) -> list[Change]:
        """Return who changed what, the newest first; see `state.changes.page`.

        Raises:
            Fault: Whoever asks is no admin.
        """
        check_admin("read who changed what")
        with self._runtime.database.read() as tx:
            return changes.page(tx, before=before, project=project, limit=limit)

    def count_dropped_changes(self) -> int:
        """Return how many changes were made that are not kept any more."""
        with self._runtime.database.read() as tx:
            return changes.count_dropped(tx)

    def close(self, seconds: float = 5.0) -> None:
        """End threads and inference units, and close the state; trainings go on by themselves.

        Args:
            seconds: To wait for each thread; what goes on after that resumes at the next start.
        """
        self._scheduler.close(seconds)
        self._tally.write()
        self._runtime.database.close()
