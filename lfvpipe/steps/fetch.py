"""The archives, manifests and folders that a pipeline starts from: fetched, checked, identified."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from lfvpipe.dataset.sources import public_address, recorded_address, similar, sources_of
from lfvpipe.engine.facts import ABSENT_IF_NONE, StepFacts
from lfvpipe.engine.inputs import InputFile, Setting
from lfvpipe.engine.outcome import Outcome, Word
from lfvpipe.engine.phrases import size
from lfvpipe.engine.reasons import Reason
from lfvpipe.engine.step import Step
from lfvpipe.errors import UserError
from lfvpipe.steps.context import Context

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from lfvpipe.config.spec import Pipeline
    from lfvpipe.dataset.sources import Source
    from lfvpipe.engine.inputs import Input
    from lfvpipe.engine.outcome import Facts
    from lfvpipe.engine.step import Work
    from lfvpipe.steps.by_range import RemoteDirectory
    from lfvpipe.storage import Bucket
    from lfvpipe.storage.cache import CachedFile
    from lfvpipe.storage.digests import Digest
    from lfvpipe.storage.parts import PartialFile, Parts


class FetchError(UserError):
    """A source is not there, or is not what it should be."""


@dataclass(frozen=True)
class FetchOutcome(StepFacts):
    """Where a source lies on this machine, and what it is.

    Attributes:
        path: Relative to the state's root for what was fetched, absolute for what was here.
        size: Bytes; of a folder, of all its files.
        etag: What the server called this version; None where it did not say.
        modified: When the server says that it changed; None where it did not say.
        read: Bytes read of a zip of which only the chosen images are fetched, when they are
            extracted; None of what is there as a whole. `sha256` is then that of the directory and
            what names the version.
    """

    path: str
    size: int
    sha256: str
    kind: Literal["file", "folder"]
    etag: str | None = field(default=None, metadata=ABSENT_IF_NONE)
    modified: str | None = field(default=None, metadata=ABSENT_IF_NONE)
    read: int | None = field(default=None, metadata=ABSENT_IF_NONE)

    @classmethod
    def of(cls, upstream: Mapping[str, Outcome], member: str) -> FetchOutcome | None:
        """Return what the fetch step of this member left; None if there is no such step."""
        outcome = upstream.get(f"fetch:{member}")
        return cls.from_json(outcome.facts) if outcome else None

    def location(self, context: Context) -> Path:
        """Return where the file or folder lies."""
        return context.state_root / self.path


class FetchStep(Step[Context]):
    """Fetches one source, or takes stock of it where it lies on this machine.

    Args:
        source: What to fetch.
        verified: Addresses that a step of this run has compared with their cache, by that step's
            name; shared by the steps of a pipeline, of which several may want one address.
    """

    def __init__(self, source: Source, verified: dict[str, str] | None = None) -> None:
        self.name = f"fetch:{source.member}"
        self.source = source
        self.verified = {} if verified is None else verified

    def inputs(self, context: Context) -> Sequence[Input]:
        """Return the address of what is remote, and the digest of what is local."""
        source = self.source
        pin: list[Input] = []
        if source.sha256:
            before = source.recorded_as and _key_beside(source.recorded_as)
            pin = [Setting(_key_beside(source.key), source.sha256, before)]
        if not source.is_remote:
            found = self._digest(context)
            return [InputFile(source.address, found.sha256 if found else None), *pin]
        address = Setting(source.key, recorded_address(source.address), source.recorded_as)
        if source.is_object:
            return [address, *pin, Setting("bucket.endpoint", context.pipeline.bucket.endpoint)]
        return [address, *pin]

    def act(self, context: Context, work: Work) -> Outcome:
        """Fetch what is not cached, or what has changed since."""
        if not self.source.is_remote:
            return self._take_stock(context, work)
        from lfvpipe.steps.by_range import RemoteDirectory
        from lfvpipe.storage import cache, translating

        folder = cache.folder_for(context.cache_dir, self.source.address)
        with translating(str(folder)), _alone(folder, work):
            before = cache.find(folder)
            found = self._bring(context, folder, before, work)
            self.verified.setdefault(self.source.address, self.name)
        self._check(found.sha256)
        facts = FetchOutcome(
            path=found.path.relative_to(context.state_root).as_posix(),
            size=found.size,
            sha256=found.sha256,
            kind="file",
            etag=found.etag or None,
            modified=found.modified or None,
            read=found.read if isinstance(found, RemoteDirectory) else None,
        )
        known = work.previous and (work.previous.identity or {}).get("sha256")
        word = _word(before.sha256 if before else facts.read and known, found.sha256)
        return Outcome(word, facts.as_json(), {"sha256": found.sha256})

    def foretell(self, context: Context) -> Facts | None:
        """Return the identity of a source on this machine: one that was moved is the same still."""
        found = None if self.source.is_remote else self._digest(context)
        if found is None or (self.source.sha256 or found.sha256).lower() != found.sha256:
            return None
        return {"sha256": found.sha256}

    def describe(self, outcome: Outcome) -> str:
        """Return how large the source is, and how much of it was read where not all of it was."""
        facts = FetchOutcome.from_json(outcome.facts)
        if facts.read is None:
            return size(facts.size)
        return f"directory of a zip of {size(facts.size)}: only chosen images are fetched"

    def stays(self, outcome: Outcome) -> str:
        """Return where the source lies: archives are the user's, and fetched ones are cached."""
        path = FetchOutcome.from_json(outcome.facts).path
        return f"{path}, in the cache" if self.source.is_remote else f"{path}, your own"

    def missing(self, context: Context, outcome: Outcome) -> Sequence[Reason]:
        """Report a cached file that is gone or has another size; local sources are inputs."""
        if not self.source.is_remote:
            return ()
        facts = FetchOutcome.from_json(outcome.facts)
        path = facts.location(context)
        found = path.stat().st_size if path.is_file() else None
        if found == facts.size and (facts.read is None or parts_are_known(path, facts)):
            return ()
        return (Reason("output-missing", str(path), facts.size, found),)

    def observe(self, context: Context, outcome: Outcome) -> Sequence[Reason]:
        """Report a remote source whose entity tag (or else date) has changed."""
        if not self.source.is_remote or self.source.sha256:
            return ()  # what is pinned cannot change
        before = FetchOutcome.from_json(outcome.facts)
        etag, modified = self._current_version(context)
        for then, now in ((before.etag, etag), (before.modified, modified)):
            if then and now:  # the first that both versions have decides
                address = public_address(self.source.address)
                return () if then == now else (Reason("drift", address, then, now),)
        return ()

    def _bring(
        self, context: Context, folder: Path, before: CachedFile | None, work: Work
    ) -> CachedFile:
        """Return the file in the cache, brought there unless what is there will do."""
        by_another = self.verified.get(self.source.address, self.name) != self.name
        unwanted = before is not None and self.source.sha256 not in (None, before.sha256)
        if before and (by_another or (self.source.sha256 and not unwanted)):
            return before
        if before is None and (directory := self._bring_directory(context, folder, work)):
            return directory
        return self._bring_whole(context, folder, before, work)

    def _bring_directory(
        self, context: Context, folder: Path, work: Work
    ) -> RemoteDirectory | None:
        """Return a zip's directory where that is all there has to be; None else."""
        from lfvpipe.steps import by_range

        if by_range.share_of(context.pipeline, self.source) is None:
            return None
        from lfvpipe.storage.parts import PartialFile

        remote = self.parts(context)
        if remote is None:
            return None
        with remote:
            partial = PartialFile(folder, self.source.address)
            return by_range.fetch_directory(
                context.pipeline, self.source, partial, remote, work.warn
            )

    def parts(self, context: Context) -> Parts | None:
        """Return what reads parts of the source; None where it lies on this machine."""
        if not self.source.is_object:
            from lfvpipe.storage.download import HttpParts

            return HttpParts(self.source.address)
        from lfvpipe.storage.parts import ObjectParts

        bucket, key = self._object(context)
        return None if bucket.local_path(key) else ObjectParts(bucket, key)

    def complete(
        self,
        context: Context,
        fetched: FetchOutcome,
        names: Collection[str],
        work: Work,
        *,
        anew: bool = False,
    ) -> None:
        """Bring the bytes of a zip's members here whose directory is.

        Args:
            context: Of the step that reads them.
            fetched: What the step left: of this version they have to be.
            names: The members.
            work: Told how far it is.
            anew: What is here of them is not what it should be.

        Raises:
            ChangedMeanwhile: The server has another version now.
        """
        from lfvpipe.archives import zip_spans
        from lfvpipe.steps import by_range
        from lfvpipe.storage import Changed, NoRanges, cache
        from lfvpipe.storage.parts import PartialFile

        folder = cache.folder_for(context.cache_dir, self.source.address)
        address = public_address(self.source.address)

        def show(done: int, total: int) -> None:
            work.progress(done, total, "bytes")

        with _alone(folder, work):
            partial = PartialFile(folder, self.source.address)
            # Another pipeline of this state may have fetched a later version since.
            remote = self.parts(context) if _is_version(partial, fetched) else None
            if remote is None:
                raise by_range.ChangedMeanwhile(address)
            try:
                with remote:
                    spans = zip_spans(partial.path, names, encoding=self.source.encoding)
                    if anew:
                        partial.forget(spans)
                    by_range.fetch_spans(partial, remote, spans, show)
            except Changed as error:
                partial.forget()
                raise by_range.ChangedMeanwhile(address) from error
            except NoRanges as error:
                work.warn(f"{address} is fetched as a whole: {error}.")
                whole = self._bring_whole(context, folder, cache.find(folder), work)
                if not by_range.take_whole(partial, whole):
                    partial.forget()
                    raise by_range.ChangedMeanwhile(address) from error

    def _bring_whole(
        self, context: Context, folder: Path, before: CachedFile | None, work: Work
    ) -> CachedFile:
        unwanted = before is not None and self.source.sha256 not in (None, before.sha256)
        if self.source.is_object:
            return self._bring_object(context, folder, None if unwanted else before, work)
        from lfvpipe.storage import NotReachable
        from lfvpipe.storage.download import download

        try:
            return download(
                self.source.address,
                folder,
                archive=self.source.archive,
                progress=lambda done, total: work.progress(done, total, "bytes"),
                anew=unwanted,
            )
        except NotReachable as error:
            if before is None:
                raise
            work.warn(f"{error.message} The copy fetched earlier is used.")
            return before

    def _bring_object(
        self, context: Context, folder: Path, before: CachedFile | None, work: Work
    ) -> CachedFile:
        from lfvpipe.storage import cache, until_sound

        bucket, key = self._object(context)
        found = bucket.head(key)
        if found is None:
            raise FetchError(
                f"{self.source.address} does not exist.",
                hint="Give the address of one object: an archive or a manifest, not a folder.",
            )
        if before and (before.etag, before.size) == (found.etag, found.size):
            return before

        def show(done: int) -> None:
            work.progress(done, found.size, "bytes")

        def stream(start: int) -> Iterator[bytes]:
            return bucket.stream(key, start=start, etag=found.etag)

        part = until_sound(
            self.source.address,
            lambda: cache.receive(folder, found.etag, found.size, stream, show),
        )
        return cache.keep(folder, self.source.address, cache.sha256_of(part), etag=found.etag)

    def _current_version(self, context: Context) -> tuple[str, str]:
        """Return the entity tag and the date that the remote source has now; "" for neither."""
        if self.source.is_object:
            bucket, key = self._object(context)
            found = bucket.head(key)
            return (found.etag if found else "gone", "")
        from lfvpipe.storage.download import current_version

        version = current_version(self.source.address)
        return version.etag, version.modified

    def _object(self, context: Context) -> tuple[Bucket, str]:
        from lfvpipe.storage import parse_s3_uri

        name, key = parse_s3_uri(self.source.address)
        return context.source_bucket(name), key

    def _take_stock(self, context: Context, work: Work) -> Outcome:
        path = Path(self.source.address)
        found = self._digest(context)
        if found is None:
            raise _not_there(path, self.source.key)
        self._check(found.sha256)
        before = work.previous and (work.previous.identity or {}).get("sha256")
        kind: Literal["file", "folder"] = "folder" if path.is_dir() else "file"
        facts = FetchOutcome(self.source.address, found.size, found.sha256, kind)
        word: Word = "found" if before is None else _word(before, found.sha256)
        return Outcome(word, facts.as_json(), {"sha256": found.sha256})

    def _digest(self, context: Context) -> Digest | None:
        """Return the digest of a local source, None if it is not there."""
        from lfvpipe.storage import translating
        from lfvpipe.storage.digests import file_digest, folder_digest

        path = Path(self.source.address)
        index = context.state_dir / "fetch" / f"{self.source.member}.json"
        with translating(self.source.address):
            if path.is_dir():
                from lfvpipe import archives

                return folder_digest(
                    path, index, skip=lambda name: bool(archives.kind_of_junk(name))
                )
            return file_digest(path, index) if path.is_file() else None

    def _check(self, sha256: str) -> None:
        wanted = self.source.sha256
        if wanted is not None and wanted.lower() != sha256:
            raise FetchError(
                f"{public_address(self.source.address)} has the SHA-256 {sha256}, not {wanted}.",
                hint=f"If this version is the right one, set `{_key_beside(self.source.key)}` to"
                " its digest; otherwise get the right file.",
            )


def fetch_steps(pipeline: Pipeline) -> tuple[FetchStep, ...]:
    """Return a fetch step for each source of `pipeline`; each address is fetched once."""
    verified: dict[str, str] = {}
    return tuple(FetchStep(source, verified) for source in sources_of(pipeline))


def source_location(context: Context, upstream: Mapping[str, Outcome], member: str) -> Path:
    """Return where the source of that member lies, which the pipeline is known to have."""
    found = FetchOutcome.of(upstream, member)
    if found is None:
        raise KeyError(member)  # a bug: a selection or pipeline names what was not fetched
    return found.location(context)


@contextmanager
def _alone(folder: Path, work: Work) -> Iterator[None]:
    """Hold the folder's lock: another source, or another run, may want the same address.

    Waits in short turns, so that the user sees that it waits and can stop it.
    """
    from filelock import FileLock, Timeout

    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / ".lock")
    while not lock.is_locked:
        try:
            lock.acquire(timeout=1.0)
        except Timeout:
            work.progress(0, None, "bytes", "waits for another fetch of the same address")
    try:
        yield
    finally:
        lock.release()


def parts_are_known(path: Path, facts: FetchOutcome) -> bool:
    """Tell whether the notes on a file with holes are there, and of this version."""
    from lfvpipe.storage.parts import PartialFile

    return _is_version(PartialFile(path.parent.parent, path.name), facts)


def _is_version(partial: PartialFile, facts: FetchOutcome) -> bool:
    known = (facts.etag or "", facts.modified or "")
    return partial.is_there and (partial.version.etag, partial.version.modified) == known


def _key_beside(key: str) -> str:
    """Return the config key beside that of an address that pins its digest."""
    return f"{key.rpartition('.')[0]}.sha256"


def _word(before: object, now: str) -> Word:
    if before is None:
        return "created"
    return "unchanged" if before == now else "updated"


def _not_there(path: Path, key: str) -> FetchError:
    if not path.parent.is_dir():
        return FetchError(
            f"{path} does not exist, nor does its folder.", hint=f"Check `{key}` for a misspelling."
        )
    near = similar(path)
    hint = f"Did you mean {' or '.join(near)}?" if near else f"Check `{key}`."
    return FetchError(f"{path} does not exist.", hint=hint)
