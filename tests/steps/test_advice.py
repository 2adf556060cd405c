"""What is said to whoever runs a pipeline about errors that know of none."""

import re
from pathlib import Path

import pytest

from lfvpipe import archives, engine, images, lookout, storage
from lfvpipe.errors import UserError
from lfvpipe.lookout.failures import ABSENT
from lfvpipe.steps.advice import advise

HERE = "s3://parts-images/key"


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (storage.NoSuchBucket(HERE), "lfvpipe run"),
        (storage.WrongRegion(HERE), "`region:`"),
        (storage.WrongRegion(HERE, region="eu-west-1"), "`region: eu-west-1`"),
        (storage.Unreachable(HERE), "`bucket.endpoint`"),
        (storage.BucketNameTaken(HERE), "`bucket.name`"),
        (storage.AccessDenied(HERE), "`bucket.encryption`"),
        (storage.DiskFull(HERE), "space and run again"),
        (storage.DiskFullForDownload("https://a/b", Path("cache")), "--state-dir"),
        (storage.SourceGone("a.png"), "Run again"),
        (storage.StorageError(HERE), "it resumes"),
        (storage.NotReachable("https://a/b", "no"), "the download resumes"),
        (storage.WrongRange("https://a/b", "", Path("cache")), "delete cache and run again"),
        (archives.UnreadableArchive(Path("a.zip"), "gone"), "`sources`"),
        (archives.NoSuchMember(Path("a.zip"), "1.png"), "Run again"),
        (archives.MemberTooLarge(Path("a.zip"), "1.png", 9), "`include`"),
        (images.NotAMask("80"), "`masks`"),
        (lookout.ServiceUnreachable("X."), "`service.endpoint`"),
        (lookout.MissingCredentials("X."), "`lfvpipe serve`"),
        (lookout.LookoutError("X.", code=ABSENT), "`lfvpipe run --refresh`"),
        (engine.StaleNeed("select", "check", engine.Reason("forced")), "`--accept select`"),
        (engine.OneStepAndRange(), "`--only` takes one step"),
        (engine.NoStepLeft("check", "fetch"), "`--from check --until fetch`"),
        (engine.FactsError("upload", "objects is not there"), "`lfvpipe run --force upload`"),
        (engine.LedgerTooNew(Path("l"), "9.0", 7), "`--state-dir`"),
        (engine.LedgerNotWritten(Path("l"), "full"), "run again: it resumes"),
        (engine.Locked(Path("x"), None), "`--lock-timeout SECONDS`"),
        (engine.StateFolderUnusable(Path("x"), OSError("full")), "`--state-dir`"),
    ],
)
def test_an_error_that_knows_no_pipeline_gets_its_keys(error: UserError, advice: str) -> None:
    assert advice in advise(error)
    assert not re.search("`|run again|lfvpipe|--", f"{error.message} {error.hint}")


@pytest.mark.parametrize(
    "error",
    [
        storage.NoCredentials(HERE),
        storage.Refused("https://a/b", 404),
        UserError("No.", hint="Ok."),
    ],
)
def test_an_error_that_says_what_to_do_keeps_its_hint(error: UserError) -> None:
    assert error.hint
    assert advise(error) == error.hint
