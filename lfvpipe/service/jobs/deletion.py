"""Removes a deleted model: first its files, then its row, so that a kill leaves no orphan."""

import shutil

from lfvpipe.service.jobs import contents
from lfvpipe.service.runtime import Runtime
from lfvpipe.service.state import find


def finish_deletion(runtime: Runtime, identity: int) -> None:
    """Remove the model if it is DELETING; the caller holds its lock."""
    with runtime.database.read() as tx:
        model = find.model_by_id(tx, identity)
    if model is None or model.status != "DELETING":
        return
    shutil.rmtree(runtime.model_file(identity).parent, ignore_errors=True)
    with runtime.database.write() as tx:
        tx.run("DELETE FROM tags WHERE arn = ?", model.arn)
        tx.run("DELETE FROM models WHERE id = ?", identity)
        contents.collect(tx)
