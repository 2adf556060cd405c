"""TagResource, UntagResource, ListTagsForResource; only models have tags."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypedDict

from lfvpipe.service.faults import invalid, over_quota
from lfvpipe.service.operations.base import OperationContext, Result
from lfvpipe.service.quotas import Quotas
from lfvpipe.service.state import find
from lfvpipe.service.state.database import Transaction


class Tag(TypedDict):
    """A tag."""

    Key: str
    Value: str


@dataclass(frozen=True)
class Tags:
    """The operations on tags."""

    context: OperationContext

    def list_tags_for_resource(self, tx: Transaction, *, resource_arn: str) -> Result:
        """List a model's tags by key."""
        find.model_by_arn(tx, resource_arn)
        rows = tx.all("SELECT key, value FROM tags WHERE arn = ? ORDER BY key", resource_arn)
        return {"Tags": [{"Key": row["key"], "Value": row["value"]} for row in rows]}

    def tag_resource(self, tx: Transaction, *, resource_arn: str, tags: Sequence[Tag]) -> Result:
        """Add tags to a model, or replace their values."""
        find.model_by_arn(tx, resource_arn)
        put_tags(tx, resource_arn, tags, self.context.runtime.quotas)
        return {}

    def untag_resource(
        self, tx: Transaction, *, resource_arn: str, tag_keys: Sequence[str]
    ) -> Result:
        """Remove tags of a model; a key that it does not have is no error."""
        find.model_by_arn(tx, resource_arn)
        query = "DELETE FROM tags WHERE arn = ? AND key = ?"
        tx.many(query, ((resource_arn, key) for key in tag_keys))
        return {}


def put_tags(tx: Transaction, arn: str, tags: Sequence[Tag], quotas: Quotas) -> None:
    """Add or replace the tags of a model.

    Raises:
        Fault: ValidationException for a key given twice, ServiceQuotaExceededException when the
            model would have too many.
    """
    twice = [key for key, count in Counter(tag["Key"] for tag in tags).items() if count > 1]
    if twice:
        raise invalid(f"the tag key {twice[0]} is given twice")
    query = "INSERT OR REPLACE INTO tags VALUES (?, ?, ?)"
    tx.many(query, ((arn, tag["Key"], tag["Value"]) for tag in tags))
    row = tx.one("SELECT COUNT(*) FROM tags WHERE arn = ?", arn)
    if row is not None and row[0] > quotas.max_tags:
        most = f"a model may have {quotas.max_tags} tags, this one would have {row[0]}"
        raise over_quota("MODEL", arn, most, quota="tags-per-model")
