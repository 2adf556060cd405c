"""Sees to it that every transitional state has somebody at work."""

import threading
import uuid
from collections.abc import Callable
from functools import partial

from lfvpipe.service import locks
from lfvpipe.service.jobs import contents, deletion, hosting
from lfvpipe.service.jobs.packaging.job import package
from lfvpipe.service.jobs.training.launcher import IsAlive, Launch, Launcher, launch_process
from lfvpipe.service.jobs.training.worker import work
from lfvpipe.service.log import service_log
from lfvpipe.service.runtime import Runtime
from lfvpipe.service.state.rows import Dataset, Model, PackagingJob
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
        """Do, or do again, what the dataset's state promises."""
        if dataset.status in {"CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS"}:
            identity = dataset.next_content or dataset.content
            self._run(locks.content(identity), partial(contents.make, self._runtime, identity))

    def reconcile_model(self, model: Model) -> None:
        """Do, or do again, what the model's state promises."""
        act = {
            "TRAINING": self._launcher.ensure_worker,
            "STARTING_HOSTING": self._host,
            "HOSTED": self._ensure_hosted,
            "STOPPING_HOSTING": self._stop,
            "DELETING": self._remove,
        }.get(model.status)
        if act is not None:
            act(model.id)

    def reconcile_packaging_job(self, job: PackagingJob) -> None:
        """Do, or do again, what the packaging job's state promises."""
        if job.status in {"CREATED", "RUNNING"}:
            name = locks.packaging_job(job.id)
            self._run(name, partial(package, self._runtime, job.id))

    def close(self, seconds: float = 5.0) -> None:
        """Start nothing more, and wait a while for what runs; the rest resumes at the next look."""
        with self._lock:
            self._closed = True
            threads = list(self._threads.values())
        for thread in threads:
            thread.join(seconds)
        self.hosts.close_all()

    def _host(self, identity: int) -> None:
        name = locks.hosting(identity)
        self._run(name, partial(hosting.start, self._runtime, self.hosts, identity))

    def _ensure_hosted(self, identity: int) -> None:
        """Have the processes of a hosted model ready before it is asked, where it has some."""
        if self.hosts.isolated and not self.hosts.has(identity):
            name = f"warming-{identity}"
            self._run(name, partial(hosting.warm, self._runtime, self.hosts, identity))

    def _stop(self, identity: int) -> None:
        name = f"stopping-{identity}"
        self._run(name, partial(hosting.stop, self._runtime, self.hosts, identity))

    def _remove(self, identity: int) -> None:
        with self._runtime.locks.held(locks.model(identity)) as ours:
            if ours:  # else the worker removes it as soon as it notices
                deletion.finish_deletion(self._runtime, identity)

    def _launch_thread(self, runtime: Runtime) -> IsAlive:
        name = f"training-{uuid.uuid4()}"
        self._run(name, partial(work, runtime))
        return lambda: name in self._threads

    def _run(self, name: str, job: Callable[[], None]) -> None:
        """Run `job` in a thread unless one of that name runs."""
        with self._lock:
            if self._closed or name in self._threads:
                return
            thread = threading.Thread(
                target=self._guarded, args=(name, job), name=f"lfvpipe-{name}", daemon=True
            )
            self._threads[name] = thread
        thread.start()

    def _guarded(self, name: str, job: Callable[[], None]) -> None:
        try:
            job()
        except Exception:  # the boundary of the thread: a bug goes to the log
            service_log().exception("job failed", job=name)
        finally:
            with self._lock:
                self._threads.pop(name, None)
