"""Brings what runs in line with what the rows promise.

Nothing tells the scheduler that a process died, and it keeps no list of what is under way. It is
shown rows: every one that an operation has just committed, every one that a client asks about,
and at the start of a service all that are not at rest. What a row's status promises is then done
unless its lock says that somebody, perhaps another process, is at it. So a restart needs no
recovery of its own, and a job that was lost is taken up again at the next look at its row.
"""

import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from lfvpipe import disk
from lfvpipe.lookout.statuses import PACKAGING_JOB_UNFINISHED, DatasetStatus, ModelStatus
from lfvpipe.service import locks
from lfvpipe.service.jobs import contents, deletion, hosting
from lfvpipe.service.jobs.idleness import Idleness
from lfvpipe.service.jobs.messages import FAILED, status_message
from lfvpipe.service.jobs.packaging.job import fail, package
from lfvpipe.service.jobs.training.launcher import IsAlive, Launch, Launcher, launch_process
from lfvpipe.service.jobs.training.publishing import publish_again
from lfvpipe.service.jobs.training.worker import work
from lfvpipe.service.log import service_log
from lfvpipe.service.runtime import Runtime
from lfvpipe.service.state.datasets import Dataset
from lfvpipe.service.state.models import Model
from lfvpipe.service.state.packaging_jobs import PackagingJob
from lfvpipe.service.units.hosts import Hosts

GiveUp = Callable[[str], None]
"""Ends the status that a job stands behind, with a message that says why."""

_PAUSE = 15.0
"""Seconds before a job that could not even be given up begins again.

Longer than a client's retries of one request take (botocore: 7 s), so that its caller hears of it.
"""


@dataclass(frozen=True)
class _Stuck:
    """A job that failed and whose failure could not be written: why, and since when."""

    error: Exception
    since: float


class Scheduler:
    """Runs the jobs of one service, in threads; trainings in processes.

    Args:
        runtime: The state.
        launch: Starts a training worker; default: a process, or, where a detector stands in,
            a thread of this process.
        isolated: Hosted models live in processes of their own.
        trains: Starts training workers.
    """

    def __init__(
        self,
        runtime: Runtime,
        launch: Launch | None = None,
        *,
        isolated: bool = False,
        trains: bool = True,
    ) -> None:
        self._trains = trains
        self._runtime = runtime
        self._threads: dict[str, threading.Thread] = {}
        self._stuck: dict[str, _Stuck] = {}
        self._published: dict[int, float] = {}  # when evaluation files may be tried again
        self._lock = threading.Lock()
        self._closed = False
        self.hosts = Hosts(runtime, isolated=isolated)
        self.idleness = Idleness(runtime, self.reconcile_model)
        default = launch_process if runtime.stand_in is None else self._launch_thread
        self._launcher = Launcher(runtime, launch or default)

    def reconcile_dataset(self, dataset: Dataset) -> None:
        """Do, or do again, what the dataset's status promises."""
        if dataset.status in {DatasetStatus.CREATE_IN_PROGRESS, DatasetStatus.UPDATE_IN_PROGRESS}:
            identity = dataset.next_content or dataset.content
            job = partial(contents.make, self._runtime, identity)
            give_up = partial(contents.give_up, self._runtime, identity)
            self._run(locks.content(identity), job, give_up)

    def reconcile_model(self, model: Model) -> None:
        """Do, or do again, what the model's status promises."""
        identity = model.id
        if model.unpublished is not None and model.status is not ModelStatus.DELETING:
            self._publish_again(identity)
        match model.status:
            case ModelStatus.TRAINING if self._trains:
                self._launcher.ensure_worker(identity)
            case ModelStatus.STARTING_HOSTING:
                self.idleness.note(identity)
                job = partial(hosting.start, self._runtime, self.hosts, identity)
                give_up = partial(hosting.give_up, self._runtime, identity, model.status)
                self._run(locks.hosting(identity), job, give_up)
            case ModelStatus.HOSTED:
                self._ensure_hosted(identity)
            case ModelStatus.STOPPING_HOSTING:
                job = partial(hosting.stop, self._runtime, self.hosts, identity)
                self._run(f"stopping-{identity}", job)
            case ModelStatus.DELETING:
                with self._runtime.locks.held(locks.model(identity)) as ours:
                    if ours:  # else the worker removes it as soon as it notices
                        deletion.finish(self._runtime, identity)
            case _:
                pass  # at rest

    def reconcile_packaging_job(self, job: PackagingJob) -> None:
        """Do, or do again, what the packaging job's status promises."""
        if job.status in PACKAGING_JOB_UNFINISHED:
            give_up = partial(fail, self._runtime, job.id)
            self._run(locks.packaging_job(job.id), partial(package, self._runtime, job.id), give_up)

    def close(self, seconds: float = 5.0) -> None:
        """Start nothing more, and wait a while for what runs; the rest resumes at the next look."""
        self.idleness.close()
        with self._lock:
            self._closed = True
            threads = list(self._threads.values())
        for thread in threads:
            thread.join(seconds)
        self.hosts.close_all()

    def _ensure_hosted(self, identity: int) -> None:
        """Have the processes of a hosted model ready before it is asked.

        They died with the service that started them, while the row goes on saying HOSTED. A model
        in this process' own memory is loaded when it is asked, which takes less than a process.
        """
        if self.hosts.isolated and not self.hosts.has(identity):
            job = partial(hosting.restore, self._runtime, self.hosts, identity)
            give_up = partial(hosting.give_up, self._runtime, identity, ModelStatus.HOSTED)
            self._run(f"restoring-{identity}", job, give_up)

    def _publish_again(self, identity: int) -> None:
        """Try to write the evaluation files, but not at every look: the store may be slow."""
        now = time.monotonic()
        with self._lock:
            if now < self._published.get(identity, now):
                return
            self._published[identity] = now + _PAUSE
        self._run(f"publishing-{identity}", partial(publish_again, self._runtime, identity))

    def _launch_thread(self, runtime: Runtime) -> IsAlive:
        name = f"training-{uuid.uuid4()}"
        self._run(name, partial(work, runtime))
        return lambda: name in self._threads

    def _run(self, name: str, job: Callable[[], None], give_up: GiveUp | None = None) -> None:
        """Run `job` in a thread unless one of that name runs.

        The lock that a job takes would do alone; this spares a thread for every look at a row.

        Args:
            name: Of the job.
            job: Brings a row to rest.
            give_up: Brings it to rest should `job` raise; None where only the job itself can.

        Raises:
            Exception: What a job of that name failed at a moment ago, when not even that could be
                written. Else whoever looks would wait for ever for a status that nothing ends.
        """
        with self._lock:
            if self._closed or name in self._threads:
                return
            stuck = self._stuck.get(name)
            if stuck is not None and time.monotonic() < stuck.since + _PAUSE:
                raise stuck.error.with_traceback(None)  # else it grows with each who looks
            self._stuck.pop(name, None)
            thread = threading.Thread(
                target=self._run_to_rest,
                args=(name, job, give_up),
                name=f"lfvpipe-{name}",
                daemon=True,
            )
            self._threads[name] = thread
        thread.start()

    def _run_to_rest(self, name: str, job: Callable[[], None], give_up: GiveUp | None) -> None:
        """Carry out `job`; whatever it raises ends the status that it stands behind."""
        try:
            job()
        except Exception as error:  # the boundary of the thread
            self._end(name, error, give_up)
        finally:
            with self._lock:
                self._threads.pop(name, None)

    def _end(self, name: str, error: Exception, give_up: GiveUp | None) -> None:
        refused = disk.refusal(error, "The service's folder")
        if refused is None:
            service_log().exception("job failed", job=name)
        else:
            service_log().error("job failed", job=name, reason=refused.message)
        message = FAILED if refused is None else status_message(refused)
        if give_up is not None and self._is_given_up(name, partial(give_up, message)):
            return
        with self._lock:
            self._stuck[name] = _Stuck(refused or error, time.monotonic())

    def _is_given_up(self, name: str, give_up: Callable[[], None]) -> bool:
        try:
            with self._runtime.locks.held(name) as ours:
                if ours:  # else another process is at it again
                    give_up()
        except Exception as kept:  # so the status stays; whoever looks is told
            service_log().error("failure not written", job=name, reason=status_message(kept))
            return False
        return True
