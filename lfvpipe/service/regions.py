"""Each region has resources of its own, as at AWS: a state folder for each.

The region that was used first has the service's folder itself, others have ``regions/NAME`` in it.
0.1.0 kept the resources of all regions in the one folder: what it made is taken apart once, by the
regions that ARNs name.
"""

import re
import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from filelock import FileLock

from lfvpipe import atomic
from lfvpipe.errors import UserError
from lfvpipe.service.errors import FolderUnusable
from lfvpipe.service.looks import HOME, STATE, home_of
from lfvpipe.service.protocol.faults import Fault
from lfvpipe.service.protocol.model import service_model
from lfvpipe.service.protocol.router import split_target
from lfvpipe.service.protocol.serializer import Response, serialize_fault
from lfvpipe.service.quotas import Quotas, read_quotas
from lfvpipe.service.service import Service
from lfvpipe.storage import Buckets

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")  # as a pipeline's; it names a folder
_MOST = 64  # regions: AWS has half as many, and each is a folder and a state that is open
_CREDENTIAL = re.compile(r"Credential=([^,\s]+)")


def folder_of(state_dir: Path, region: str) -> Path:
    """Return the state folder of a region; the folder is given a home region where it has none.

    Raises:
        FolderUnusable: It cannot be made or written.
    """
    folder = state_dir.absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f"{HOME}.lock"):
            home = home_of(folder)
            if home is None:
                home = _separate(folder) or region
                atomic.write_text(folder / HOME, f"{home}\n")
    except OSError as error:
        raise FolderUnusable(folder, error) from error
    return folder if region == home else folder / "regions" / region


def known_regions(state_dir: Path) -> list[str]:
    """Return the regions that have a state."""
    home = home_of(state_dir)
    others = sorted(path.parent.name for path in state_dir.glob(f"regions/*/{STATE}"))
    return [*([] if home is None else [home]), *others]


def signed_region(url: str, headers: Mapping[str, str]) -> str:
    """Return the region that a request is signed for, "" where it does not say.

    Whether the signature is right is for who lets requests in.
    """
    lowered = {name.lower(): value for name, value in headers.items()}
    found = _CREDENTIAL.search(lowered.get("authorization", ""))
    in_query = parse_qs(split_target(url)[1]).get("X-Amz-Credential", [""]) if not found else [""]
    parts = (found[1] if found else in_query[0]).rsplit("/", 4)
    return parts[2] if len(parts) == 5 else ""


class RegionalService:
    """A service for each region that is asked for; safe to call from many threads.

    Args:
        state_dir: Made when absent.
        connect: Returns the object store for a region.
        region: Of requests that are signed for none.
        alone: Serve the resources of `region`, whatever region a request is signed for.
        quotas: What is allowed in each region; default: see `Service`.
        limits: See `Service`.
        options: Of each `Service`.

    Raises:
        UserError: A folder cannot be used.
    """

    def __init__(
        self,
        state_dir: Path,
        connect: Callable[[str], Buckets],
        *,
        region: str,
        alone: bool = False,
        quotas: Quotas | None = None,
        limits: str = "documented",
        **options: Any,
    ) -> None:
        self._state_dir = state_dir
        self._connect = connect
        self._region = region
        self._alone = alone
        self.quotas = quotas or read_quotas(state_dir, limits)
        self._options = options
        self._services: dict[str, Service] = {}
        self._opening = threading.Lock()
        if not _NAME.fullmatch(region):
            hint = "Name one such as us-east-1: small letters, digits and hyphens."
            raise UserError(f"{region!r} is no region.", hint=hint)
        self._open(region)
        if not alone:
            for known in known_regions(state_dir):  # whose trainings and models go on
                self._open(known)

    def handle(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> Response:
        """Answer one request from the resources of the region that it is signed for."""
        region = self._region if self._alone else signed_region(url, headers) or self._region
        service = self._services.get(region)
        if service is None:
            if not _NAME.fullmatch(region) or len(self._services) >= _MOST:
                message = "Credential should be scoped to a valid region."
                fault = Fault("InvalidSignatureException", message, status=403)
                return serialize_fault(service_model(), fault, "")
            service = self._open(region)
        return service.handle(method, url, headers, body)

    @property
    def regions(self) -> list[str]:
        """The regions that there is a service for, by name."""
        return sorted(self._services)

    def of(self, region: str) -> Service | None:
        """Return the service of a region, None where nobody has used it: looking makes none."""
        return self._services.get(region)

    def model_counts(self) -> Mapping[str, int]:
        """Return how many models there are by status, over all regions."""
        counts: dict[str, int] = {}
        for service in list(self._services.values()):
            for status, number in service.model_counts().items():
                counts[status] = counts.get(status, 0) + number
        return counts

    def close(self) -> None:
        """Close the service of every region."""
        for service in self._services.values():
            service.close()

    def _open(self, region: str) -> Service:
        with self._opening:
            if region not in self._services:
                self._services[region] = Service(
                    folder_of(self._state_dir, region),
                    self._connect(region),
                    region=region,
                    quotas=self.quotas,
                    **self._options,
                )
            return self._services[region]


def _separate(folder: Path) -> str | None:
    """Give each region of a state of 0.1.0 but the oldest project's a folder; return that one's.

    A kill leaves a copy too many, and the next call goes on: what has a folder is taken out here.
    """
    file = folder / STATE
    if not file.is_file():
        return None
    with closing(sqlite3.connect(file, timeout=30, isolation_level=None)) as state:
        state.execute("PRAGMA foreign_keys = ON")
        try:
            rows = state.execute("SELECT arn FROM projects ORDER BY created").fetchall()
        except sqlite3.DatabaseError:  # which opening it will say
            return None
        regions = list(dict.fromkeys(str(arn).split(":")[3] for (arn,) in rows))
        for region in regions[1:]:
            models = _models_in(state, region)
            target = folder / "regions" / region
            if not (target / STATE).is_file():
                _copy_region(state, folder, target, region, models)
            _keep(state, [each for each in regions if each != region])
            for model in models:
                shutil.rmtree(folder / "models" / str(model), ignore_errors=True)
            regions = [each for each in regions if each != region]
    return regions[0] if regions else None


def _copy_region(
    state: sqlite3.Connection, folder: Path, target: Path, region: str, models: Iterable[int]
) -> None:
    target.mkdir(parents=True, exist_ok=True)
    staging = target / f"{STATE}.tmp"
    staging.unlink(missing_ok=True)
    with closing(sqlite3.connect(staging, isolation_level=None)) as copy:
        state.backup(copy)
        copy.execute("PRAGMA journal_mode = DELETE")
        copy.execute("PRAGMA foreign_keys = ON")
        _keep(copy, [region])
        copy.execute("DELETE FROM tokens")
    for model in models:
        source, to = folder / "models" / str(model), target / "models" / str(model)
        if source.is_dir():
            shutil.copytree(source, to, copy_function=_link, dirs_exist_ok=True)
    staging.replace(target / STATE)
    atomic.sync_folder(target)


def _link(source: str, target: str) -> None:
    """Give a file a second name, or a copy where the disk has no such names."""
    Path(target).unlink(missing_ok=True)
    if not atomic.link(Path(source), Path(target)):
        shutil.copy2(source, target)


def _models_in(state: sqlite3.Connection, region: str) -> list[int]:
    rows = state.execute("SELECT id, arn FROM models").fetchall()
    return [int(identity) for identity, arn in rows if str(arn).split(":")[3] == region]


def _keep(state: sqlite3.Connection, regions: Iterable[str]) -> None:
    """Remove the resources of all other regions, in one transaction."""
    kept = set(regions)
    rows = state.execute("SELECT name, arn FROM projects").fetchall()
    unwanted = [(name,) for name, arn in rows if str(arn).split(":")[3] not in kept]
    state.execute("BEGIN IMMEDIATE")
    state.executemany(
        "DELETE FROM tags WHERE arn IN (SELECT arn FROM models WHERE project = ?)", unwanted
    )
    for table, column in (
        ("packaging_jobs", "project"),
        ("models", "project"),
        ("datasets", "project"),
        ("projects", "name"),
    ):
        state.executemany(f"DELETE FROM {table} WHERE {column} = ?", unwanted)  # noqa: S608  (constants)
    state.execute(
        "WITH used AS (SELECT content AS id FROM datasets"
        " UNION SELECT next_content FROM datasets UNION SELECT train_content FROM models"
        " UNION SELECT test_content FROM models)"
        " DELETE FROM contents WHERE id NOT IN (SELECT id FROM used WHERE id IS NOT NULL)"
        " AND id NOT IN (SELECT base FROM contents"
        "  WHERE base IS NOT NULL AND id IN (SELECT id FROM used))"
    )
    state.execute("COMMIT")
