"""TagResource, UntagResource, ListTagsForResource; only models have tags."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypedDict

from lfvpipe.decision import Decision
from lfvpipe.lookout.tags import DECISION, EXPECTED, RESERVED, read_share
from lfvpipe.service.faults import invalid, over_quota
from lfvpipe.service.operations.base import OperationContext, Result
from lfvpipe.service.quotas import Quotas
from lfvpipe.service.state import models
from lfvpipe.service.state import tags as tags_table
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
        models.get_by_arn(tx, resource_arn)
        found = tags_table.of_resource(tx, resource_arn)
        return {"Tags": [{"Key": tag.key, "Value": tag.value} for tag in found]}

    def tag_resource(self, tx: Transaction, *, resource_arn: str, tags: Sequence[Tag]) -> Result:
        """Add tags to a model, or replace their values."""
        models.get_by_arn(tx, resource_arn)
        put_tags(tx, resource_arn, tags, self.context.runtime.quotas)
        return {}

    def untag_resource(
        self, tx: Transaction, *, resource_arn: str, tag_keys: Sequence[str]
    ) -> Result:
        """Remove tags of a model; a key that it does not have is no error."""
        models.get_by_arn(tx, resource_arn)
        tags_table.delete(tx, resource_arn, tag_keys)
        return {}


def put_tags(tx: Transaction, arn: str, tags: Sequence[Tag], quotas: Quotas) -> None:
    """Add or replace the tags of a model.

    Raises:
        Fault: ValidationException for a key given twice or one of AWS's own, and for a
            decision or an expected share that is none;
            ServiceQuotaExceededException when the model would have too many.
    """
    for tag in tags:
        if tag["Key"].lower().startswith(RESERVED):
            raise invalid(f"the tag key {tag['Key']} begins with {RESERVED}, which is AWS's own")
        if tag["Key"] == EXPECTED and read_share(tag["Value"]) is None:
            raise invalid(
                f"the tag {EXPECTED} cannot be {tag['Value']}: it is a share from 0.000001 to below"
                " 1, such as 0.02"
            )
        if tag["Key"] == DECISION:
            try:
                Decision.from_text(tag["Value"])
            except ValueError as error:
                raise invalid(f"the tag {DECISION} cannot be {tag['Value']}: {error}") from error
    twice = [key for key, count in Counter(tag["Key"] for tag in tags).items() if count > 1]
    if twice:
        raise invalid(f"the tag key {twice[0]} is given twice")
    tags_table.put(tx, arn, [tags_table.Tag(tag["Key"], tag["Value"]) for tag in tags])
    count = tags_table.count(tx, arn)
    if count > quotas.max_tags:  # the transaction, with the tags, is rolled back
        most = f"a model may have {quotas.max_tags} tags, this one would have {count}"
        raise over_quota("MODEL", arn, most, quota="tags-per-model")
