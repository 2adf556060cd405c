"""Brings what runs in line with what the rows promise.

Nothing tells the scheduler that a process died, and it keeps no list of what is under way. It is
shown rows: every one that an operation has just committed, every one that a client asks about,
and at the start of a service all that are not at rest. What a row's status promises is then done
unless its lock says that somebody, perhaps another process, is at it. So a restart needs no
recovery of its own, and a job that was lost is taken up again at the next look at its row.
"""

import threading
import uuid
from collections.abc import Callable
from functools import partial

from lfvpipe.lookout.statuses import PACKAGING_JOB_UNFINISHED, DatasetStatus, ModelStatus
from lfvpipe.service import locks
from lfvpipe.service.jobs import contents, deletion, hosting
from lfvpipe.service.jobs.packaging.job import package
from lfvpipe.service.jobs.training.launcher import IsAlive, Launch, Launcher, launch_process
from lfvpipe.service.jobs.training.worker import work
from lfvpipe.service.log import service_log
from lfvpipe.service.runtime import Runtime
from lfvpipe.service.state.datasets import Dataset
from lfvpipe.service.state.models import Model
from lfvpipe.service.state.packaging_jobs import PackagingJob
from lfvpipe.service.units.hosts import Hosts


class Scheduler:
    """Runs the jobs of one service, in threads; trainings in processes.

    Args:
        runtime: The state.
        launch: Starts a training worker; default: a process, or, where a detector stands in,
            a thread of this process.
        isolated: Hosted models live in processes of their own.
    """

    def __init__(
        self, runtime: Runtime, launch: Launch | None = None, *, isolated: bool = False
    ) -> None:
        self._runtime = runtime
        self._threads: dict[str, threading.Thread] = {}
        self._lock = threading.Lock()
        self._closed = False
        self.hosts = Hosts(runtime, isolated=isolated)
        default = launch_process if runtime.stand_in is None else self._launch_thread
        self._launcher = Launcher(runtime, launch or default)

    def reconcile_dataset(self, dataset: Dataset) -> None:
        """Do, or do again, what the dataset's status promises."""
        if dataset.status in {DatasetStatus.CREATE_IN_PROGRESS, DatasetStatus.UPDATE_IN_PROGRESS}:
            identity = dataset.next_content or dataset.content
            self._run(locks.content(identity), partial(contents.make, self._runtime, identity))

    def reconcile_model(self, model: Model) -> None:
        """Do, or do again, what the model's status promises."""
        identity = model.id
        match model.status:
            case ModelStatus.TRAINING:
                self._launcher.ensure_worker(identity)
            case ModelStatus.STARTING_HOSTING:
                job = partial(hosting.start, self._runtime, self.hosts, identity)
                self._run(locks.hosting(identity), job)
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
            self._run(locks.packaging_job(job.id), partial(package, self._runtime, job.id))

    def close(self, seconds: float = 5.0) -> None:
        """Start nothing more, and wait a while for what runs; the rest resumes at the next look."""
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
            self._run(f"restoring-{identity}", job)

    def _launch_thread(self, runtime: Runtime) -> IsAlive:
        name = f"training-{uuid.uuid4()}"
        self._run(name, partial(work, runtime))
        return lambda: name in self._threads

    def _run(self, name: str, job: Callable[[], None]) -> None:
        """Run `job` in a thread unless one of that name runs.

        The lock that a job takes would do alone; this spares a thread for every look at a row.
        """
        with self._lock:
            if self._closed or name in self._threads:
                return
            thread = threading.Thread(
                target=self._run_logged, args=(name, job), name=f"lfvpipe-{name}", daemon=True
            )
            self._threads[name] = thread
        thread.start()

    def _run_logged(self, name: str, job: Callable[[], None]) -> None:
        try:
            job()
        except Exception:  # the boundary of the thread: a bug goes to the log
            service_log().exception("job failed", job=name)
        finally:
            with self._lock:
                self._threads.pop(name, None)
