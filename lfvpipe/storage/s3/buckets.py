"""Buckets on S3: objects through obstore, administration through boto3, one set of credentials."""

from __future__ import annotations

import threading
from datetime import timedelta
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

import boto3
import botocore.session
from obstore.auth.boto3 import Boto3CredentialProvider
from obstore.exceptions import InvalidPathError

from lfvpipe import aws
from lfvpipe.storage import objects
from lfvpipe.storage.addresses import check_key, is_path
from lfvpipe.storage.errors import (
    Busy,
    Damaged,
    ForeignAnswer,
    NoCredentials,
    NoSuchObject,
    NotTrusted,
    StorageError,
    Unreachable,
    WrongRegion,
)
from lfvpipe.storage.failures import translating
from lfvpipe.storage.repeating import until_sound
from lfvpipe.storage.s3 import administration, careful, environment, sound

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from obstore.store import S3Store

    from lfvpipe.storage.buckets import Bucket, ObjectInfo, Protection, Stored, Terms
    from lfvpipe.storage.s3.administration import S3Client

_CREDENTIALS_KEPT = timedelta(minutes=5)
"""How long obstore keeps credentials; botocore refreshes those with less than 10 minutes left."""
_SILENT = timedelta(seconds=30)
"""How long obstore waits for a server that sends nothing; for an upload, all of it counts."""
_NEVER = timedelta(days=30)
_CAREFUL_AT_ONCE = 2
"""Uploads side by side on a line that has shown to be slow, or to a server that is busy."""
_PROOF = dict.fromkeys(("GetObject", "HeadObject", "PutObject", "UploadPart"), "ETag")

_T = TypeVar("_T")


class S3Buckets:
    """The buckets behind one S3 endpoint, with the credentials of botocore's default chain."""

    def __init__(
        self, endpoint: str, *, region: str, root: Path, terms: Terms, anywhere: bool = False
    ) -> None:
        self.endpoint = endpoint
        self.region = region
        self.terms = terms
        self._anywhere = anywhere
        self._root = root
        self._lock = threading.Lock()

    def bucket(self, name: str) -> Bucket:
        """Return the bucket called `name`."""
        return S3Bucket(self, name)

    def describe(self) -> dict[str, str]:
        """Return what `reconnect` needs; the other process finds the credentials itself."""
        terms = {
            "encryption": self.terms.encryption,
            "key": self.terms.key,
            "requester_pays": "true" if self.terms.requester_pays else None,
        }
        return {
            "endpoint": self.endpoint,
            "region": self.region,
            "root": str(self._root),
            **{name: value for name, value in terms.items() if value is not None},
        }

    @property
    def client(self) -> S3Client:
        """The boto3 client, made once, also when several threads ask at once."""
        with self._lock:
            return self._client

    def store(self, bucket: str) -> S3Store:
        """Return an obstore store for `bucket` at the address that boto3 uses, too."""
        address = self.client.meta.endpoint_url
        with translating(f"s3://{bucket}"):
            return environment.open_store(
                bucket,
                address,
                self.region,
                self.terms,
                client_options={
                    **environment.client_options(address, environment.bundle_file(self._settings)),
                    "connect_timeout": timedelta(seconds=aws.CONNECT_SECONDS),
                    "read_timeout": _SILENT,
                    "timeout": _NEVER,  # a download that moves is never given up
                },
                retry_config={"max_retries": 0, "retry_timeout": _NEVER},  # see `_carefully`
                credential_provider=Boto3CredentialProvider(self._session, ttl=_CREDENTIALS_KEPT),
            )

    @cached_property
    def _settings(self) -> Any:
        """The settings that botocore finds: profile, certificate authority, number of attempts."""
        return botocore.session.get_session()

    @property
    def attempts(self) -> int | None:
        """How many attempts AWS_MAX_ATTEMPTS or the profile allow; None if neither says."""
        said = self._settings.get_config_variable("max_attempts")
        return int(said) if said else None

    @cached_property
    def _session(self) -> boto3.Session:
        endpoint = f"the endpoint {self.endpoint}"
        with translating(endpoint):
            session = boto3.Session(botocore_session=self._settings, region_name=self.region)
            if session.get_credentials() is None:
                raise NoCredentials(endpoint)
            return session

    @cached_property
    def _client(self) -> S3Client:
        url = None if self.endpoint == "aws" else self.endpoint
        said: Any = {"ignore_configured_endpoint_urls": not self._anywhere}
        if url is not None:
            # An endpoint of one's own has no FIPS and no dual-stack one, whatever is configured.
            said |= {"use_fips_endpoint": False, "use_dualstack_endpoint": False}
        with translating(f"the endpoint {self.endpoint}"):
            bundle = environment.bundle_file(self._settings)
            if bundle and not (url or "https:").startswith("http:"):
                environment.certificates(bundle)  # boto3 would look at it once it is connected
            style = None if url is None else {"addressing_style": "path"}
            config = aws.config(s3=style, **said)
            client: S3Client = self._session.client("s3", endpoint_url=url, config=config)
            aws.call_patiently(client, most=self.attempts, proof=_PROOF)
            environment.tell_terms(client, self.terms)
            return client


class S3Bucket:
    """One bucket on S3."""

    def __init__(self, buckets: S3Buckets, name: str) -> None:
        self._buckets = buckets
        self.name = name
        self._is_slow = False
        self._tags = sound.Tags()
        self._careful_uploads = threading.BoundedSemaphore(_CAREFUL_AT_ONCE)

    def exists(self) -> bool:
        """Tell whether the bucket is there, and ours to use.

        Raises:
            WrongRegion: The bucket is on AWS, and in another region than we sign for.
        """
        region = administration.find(self._buckets.client, self.name)
        signed = self._buckets.region
        # Stores other than AWS have regions in name only.
        if self._buckets.endpoint == "aws" and region and region != signed:
            raise WrongRegion(f"s3://{self.name}", f"{region}, not {signed}", region=region)
        return region is not None

    def create(self) -> Sequence[str]:
        """Create the bucket, block public access, and encrypt by default, where the store can.

        Returns:
            What of it the store refused, in sentences.

        Raises:
            BucketNameTaken: Somebody else owns a bucket of this name.
        """
        store = self._buckets
        is_amazons = store.endpoint == "aws"
        region = store.region
        return administration.create(
            store.client, self.name, region, store.terms, is_amazons=is_amazons
        )

    def protection(self) -> Protection:
        """Read how the bucket is guarded."""
        return administration.protection(self._buckets.client, self.name)

    def delete_if_empty(self) -> bool:
        """Delete the bucket if it holds no object; return whether it is gone now."""
        return administration.delete_if_empty(self._buckets.client, self.name)

    def location(self) -> str:
        """Return the region that the bucket lies in, as the store tells it."""
        return administration.location(self._buckets.client, self.name) or self._buckets.region

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Stream the objects whose keys begin with `prefix`.

        obstore lists folders, and stumbles over keys such as ``a//b`` that others put there;
        boto3 lists any prefix and any key, at several times the CPU. So obstore lists as far as it
        can, and boto3 goes on after the last key that it gave, also where obstore saw an end: what
        is no listing at all, such as a log-in page, is an empty one to it. A slash in front of a
        key it would leave out without a word, so that boto3 is asked first whether there is one.
        """
        client, last = self._buckets.client, ""
        is_folder = prefix.endswith("/") and is_path(prefix.removesuffix("/"))
        if is_folder or not (prefix or next(careful.listing(client, self.name, "/", ""), None)):
            try:
                for found in objects.read_listing(self._store, prefix, self._address(prefix)):
                    last = max(last, found.key)
                    yield found
            except StorageError as error:
                if not isinstance(error.__cause__, InvalidPathError) and not self._may_pass(error):
                    raise
        yield from careful.listing(client, self.name, prefix, last)

    def head(self, key: str, *, version: str | None = None) -> ObjectInfo | None:
        """Return what the store says of one object, or of a version of it."""
        try:
            if version is not None or not is_path(check_key(key)):
                return careful.head(self._buckets.client, self.name, key, version)
            return self._carefully(
                lambda: objects.head(self._store, key, self._address(key)),
                lambda: careful.head(self._buckets.client, self.name, key),
            )
        except NoSuchObject:
            return None

    def get(self, key: str, *, limit: int | None = None) -> bytes:
        """Return an object's bytes."""
        check_key(key)
        return self._until_sound(key, lambda: self._get(key, limit))

    def get_to(
        self,
        key: str,
        path: Path,
        *,
        on_bytes: Callable[[int], None] = objects.ignore_progress,
        version: str | None = None,
    ) -> None:
        """Download an object, or a version of it, to `path`."""

        def get() -> None:
            chunks = self.stream(key, version=version)
            objects.write_to(path, chunks, on_bytes, self._address(key))

        self._until_sound(key, get)

    def stream(
        self,
        key: str,
        *,
        start: int = 0,
        end: int | None = None,
        etag: str = "",
        version: str | None = None,
    ) -> Iterator[bytes]:
        """Yield an object's bytes from `start` to before `end`; what is cut goes on there."""
        told: list[str] = [etag] if etag else []
        digest: sound.Digest | None = None
        for chunk in self._pieces(check_key(key), start, end, etag, version, told.append):
            digest = digest or sound.Digest(told[-1])
            digest.put(chunk)
            yield chunk
        if digest is not None and not start and end is None:
            self._insist_on_sound(key, digest)

    def put(self, key: str, data: bytes | Path) -> None:
        """Upload bytes or a file."""
        self._put(key, data)

    def put_many(
        self,
        items: Iterable[tuple[str, bytes | Path]],
        *,
        on_done: Callable[[Stored], None],
        jobs: int = 16,
        may_share: bool = False,  # noqa: ARG002  (there is no disk to share)
    ) -> None:
        """Upload many files concurrently."""
        objects.put_many(self._put, items, on_done, jobs)

    def delete(self, keys: Iterable[str]) -> None:
        """Delete objects, a thousand in one request."""
        remaining = map(check_key, keys)
        while batch := list(islice(remaining, objects.PAGE)):
            plain = [key for key in batch if is_path(key)]
            odd = [key for key in batch if not is_path(key)]
            if plain:
                try:
                    with translating(f"s3://{self.name}"):
                        self._store.delete(plain)
                except StorageError as error:
                    if not self._may_pass(error):
                        raise
                    odd = batch
            careful.delete(self._buckets.client, self.name, odd)

    def local_path(self, key: str) -> Path | None:
        """Return None: the object is not on this disk."""
        del key
        return None

    @cached_property
    def _store(self) -> S3Store:
        return self._buckets.store(self.name)

    def _address(self, key: str) -> str:
        return f"s3://{self.name}/{key}"

    def _get(self, key: str, limit: int | None) -> bytes:
        """Read an object once; raises `Damaged` where it is not, as it seems, what was stored."""
        if is_path(key):
            try:
                tag, data = objects.get(self._store, key, self._address(key), limit)
            except StorageError as error:
                if not self._may_pass(error):
                    raise
            else:
                self._insist_on_sound(key, sound.digest_of(data, tag))
                return data
        return self._get_carefully(key, limit)

    def _get_carefully(self, key: str, limit: int | None) -> bytes:
        client, tags = self._buckets.client, [""]
        data = careful.get(client, self.name, key, limit, tags.append)
        self._insist_on_sound(key, sound.digest_of(data, tags[-1]))
        return data

    def _pieces(
        self,
        key: str,
        start: int,
        end: int | None,
        etag: str,
        version: str | None,
        tell_tag: Callable[[str], object],
    ) -> Iterator[bytes]:
        """Yield an object's bytes; see `stream`. `tell_tag` is told its tag before the first."""
        if version is None and is_path(key):
            where = self._address(key)
            try:
                etag, chunks = objects.open_stream(
                    self._store, key, where, start=start, end=end, etag=etag
                )
                tell_tag(etag)
                for chunk in chunks:
                    start += len(chunk)
                    yield chunk
            except StorageError as error:
                if not self._may_pass(error):
                    raise
            else:
                return
        yield from careful.stream(
            self._buckets.client,
            self.name,
            key,
            start=start,
            stop=end,
            etag=etag,
            version=version,
            tell_tag=tell_tag,
        )

    def _put(self, key: str, data: bytes | Path) -> Stored:
        """Upload, until what is there is what was sent."""
        check_key(key)

        def put() -> Stored:
            made = self._put_once(key, data)
            with translating(self._address(key)):
                sent = sound.digest_of(data, made.etag)
            if sent.fits() is False and not self._tags.tell_nothing(sent):
                self._insist_on_same(key, sent)
            return made

        return self._until_sound(key, put)

    def _put_once(self, key: str, data: bytes | Path) -> Stored:
        if is_path(key) and not self._is_slow:
            try:
                return objects.put(self._store, key, data, self._address(key))
            except StorageError as error:
                # No such object: an upload in parts whose end was answered, and the answer lost.
                if not self._may_pass(error) and not isinstance(error, NoSuchObject):
                    raise
                # Of obstore's words, the only ones that tell silence from a cut.
                self._is_slow = self._is_slow or "kind: Timeout" in str(error.__cause__)
        with self._careful_uploads:
            return careful.put(self._buckets.client, self.name, key, data)

    def _until_sound(self, key: str, transfer: Callable[[], _T]) -> _T:
        return until_sound(self._address(key), transfer, most=self._buckets.attempts)

    def _insist_on_sound(self, key: str, read: sound.Digest) -> None:
        if not self._tags.is_right(key, read):
            raise Damaged(self._address(key))

    def _insist_on_same(self, key: str, sent: sound.Digest) -> None:
        """Read back what was uploaded: only that tells whether its tag is a digest at all."""
        there = sound.digest_of(careful.stream(self._buckets.client, self.name, key), "")
        if there.whole.digest() != sent.whole.digest():
            raise Damaged(self._address(key))
        self._tags.disbelieve(sent)

    def _carefully(self, try_once: Callable[[], _T], try_on: Callable[[], _T]) -> _T:
        """Let obstore try once, and where that failed in passing, boto3 as long as it takes."""
        try:
            return try_once()
        except StorageError as error:
            if not self._may_pass(error):
                raise
        return try_on()

    def _may_pass(self, error: StorageError) -> bool:
        """Tell whether another attempt may help, and may be made."""
        passes = isinstance(error, Busy | ForeignAnswer | Unreachable)
        return passes and not isinstance(error, NotTrusted) and self._buckets.attempts != 1
