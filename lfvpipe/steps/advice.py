"""What the user of a pipeline can do about an error: which key to look at, what to run.

Storage, archives and images say what happened and where, and know of no pipeline, since the service
raises their errors, too. Here, where errors reach whoever runs a pipeline, they meet its keys.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lfvpipe import archives, disk, engine, images, lookout, service, storage

if TYPE_CHECKING:
    from lfvpipe.errors import UserError


def advise(error: UserError) -> str:
    """Return the hint to show with `error`; its own where a pipeline has nothing to add."""
    match error:
        case engine.EngineError() | service.errors.FolderUnusable() | disk.DiskError():
            return _about_engine(error)
        case storage.StorageError():
            return _about_storage(error)
        case lookout.LookoutError() | service.errors.StateBroken():
            return _about_service(error)
        case storage.NotReachable():
            return "Check the network (and HTTPS_PROXY) and run again: the download resumes."
        case storage.WrongRange():
            return f"It does not resume downloads properly: delete {error.folder} and run again."
        case archives.UnreadableArchive():
            return "Check the path under `sources` and its permissions."
        case archives.NoSuchMember():
            return "The archive changed since it was read. Run again."
        case archives.MemberTooLarge():
            return "That is no image the service takes. Leave it out with `include`."
        case images.NotAMask():
            return f"{error.hint} Check `masks`."
    return error.hint


def _about_engine(error: UserError) -> str:
    match error:
        case engine.StaleNeed(step=step):
            return f"Run without it, or take {step} as it is with `--accept {step}`."
        case engine.OneStepAndRange():
            return "`--only` takes one step; `--from` and `--until` take several."
        case engine.NoStepLeft(first=first, last=last):
            return f"`--from {first} --until {last}` has nothing between: turn them around."
        case engine.FactsError(step=step):
            return f"The ledger may be damaged. Make it anew with `lfvpipe run --force {step}`."
        case engine.LedgerError():
            return _about_ledger(error)
        case engine.Locked():
            return f"{error.hint} Or let `--lock-timeout SECONDS` do the waiting."
        case disk.DiskError(advice=advice):
            return f"{advice}, then run again: it resumes."
        case engine.StateFolderUnusable() | service.errors.FolderUnusable():
            return f"{error.hint} Or name another one with `--state-dir`."
    return error.hint


def _about_ledger(error: engine.LedgerError) -> str:
    match error:
        case engine.LedgerDamaged(backup=Path()):
            return f"{error.hint} `lfvpipe doctor --repair` does that."
        case engine.LedgerDamaged():
            return (
                f"{error.hint} `lfvpipe run --adopt` then takes the project over, and makes all"
                " anew, the training, too."
            )
        case engine.LedgerTooNew():
            return f"{error.hint} Or use another `--state-dir`."
        case engine.LedgerNotWritten():
            return "Free some space or make the folder writable, then run again: it resumes."
    return error.hint


def _about_service(error: UserError) -> str:
    match error:
        case service.errors.StateBroken():
            return (
                "Restore it from a copy, or let `lfvpipe doctor --repair` set it aside:"
                " the next run then makes project, data sets and model again."
            )
        case lookout.ServiceUnreachable():
            return "Is the service running there, and is `service.endpoint` right?"
        case lookout.MissingCredentials():
            return (
                f"{error.hint} `lfvpipe serve` writes a key to .lfvpipe/credentials where it was"
                " started, which AWS_SHARED_CREDENTIALS_FILE can name."
            )
        case lookout.LookoutError(code="ResourceNotFoundException"):
            return f"{error.hint} `lfvpipe run --refresh` makes anew what is gone."
    return error.hint


def _about_storage(error: storage.StorageError) -> str:
    match error:
        case storage.AccessDenied() if error.where.startswith("s3://"):
            return (
                f"{error.hint} A bucket whose policy wants encryption to be said has"
                " `bucket.encryption`, one whose requests are paid by who makes them"
                " `bucket.requester_pays`."
            )
        case storage.NoSuchBucket():
            return "Check its name, or let `lfvpipe run` create it."
        case storage.WrongRegion(region=str(region)):
            return f"Set `region: {region}`, or choose another `bucket.name`."
        case storage.WrongRegion():
            return "Set `region:` to the bucket's region, or choose another bucket."
        case storage.Unreachable() if not isinstance(error, storage.NotTrusted):
            return "Check `bucket.endpoint` and the network (proxy, certificate), and run again."
        case storage.BucketNameTaken():
            return "Bucket names are unique over all accounts: choose another `bucket.name`."
        case storage.SourceGone():
            return "Run again: it will be made anew."
        case storage.DiskFullForDownload():
            return "Free some space, or choose another `--state-dir`, and run again: it resumes."
        case storage.DiskFull():
            return "Free some space and run again."
    # Nothing is known of what the store itself failed at, and another attempt may help.
    is_unknown = type(error) is storage.StorageError
    return "Run again; it resumes where it stopped." if is_unknown else error.hint
