"""Calls the method of an operation, in its transaction, once per client token."""

from collections.abc import Callable, Mapping
from typing import Any

from botocore import xform_name
from botocore.model import OperationModel, ServiceModel

from lfvpipe.service import auditing
from lfvpipe.service.roles import check_role
from lfvpipe.service.runtime import Runtime
from lfvpipe.service.state import changes, tokens
from lfvpipe.service.throttle import Throttle

Method = Callable[..., Mapping[str, Any]]


class Dispatcher:
    """Finds each operation's method among `groups`, by its name in snake case.

    Raises:
        AttributeError: An operation of the model has no method: a bug.
    """

    def __init__(
        self,
        model: ServiceModel,
        runtime: Runtime,
        groups: tuple[object, ...],
        throttle: Throttle,
    ) -> None:
        self._runtime = runtime
        self._throttle = throttle
        self._methods: dict[str, Method] = {}
        for name in model.operation_names:
            method = xform_name(name)
            group = next((each for each in groups if hasattr(each, method)), None)
            if group is None:
                raise AttributeError(f"no group has a method for {name}")
            self._methods[name] = getattr(group, method)

    def __call__(self, operation: OperationModel, parameters: dict[str, Any]) -> Mapping[str, Any]:
        """Carry out `operation` with parameters by their names in the model.

        Raises:
            Fault: As the operation's method does, or whoever asks may not.
        """
        check_role(operation)
        method = self._methods[operation.name]
        token = parameters.pop(_token_member(operation), None)
        arguments = {xform_name(name): value for name, value in parameters.items()}
        database = self._runtime.database
        if operation.has_streaming_input:
            # Images: inference units bound their rate, and no transaction is held meanwhile.
            return method(**arguments)
        self._throttle.admit(operation.name)
        if operation.http["method"] == "GET":
            with database.read() as tx:
                return method(tx, **arguments)
        with database.write() as tx:  # the token with the effect, or neither: see `tokens`
            now = self._runtime.clock()

            def act() -> Mapping[str, Any]:
                with auditing.written_down(tx, operation.name, parameters, now):
                    answer = method(tx, **arguments)
                changes.keep_newest(tx, self._runtime.quotas.kept_changes)
                return answer

            if token is None:
                return act()
            lifetime = self._runtime.quotas.token_seconds
            return tokens.once(tx, operation.name, token, parameters, now, lifetime, act)


def _token_member(operation: OperationModel) -> str:
    shape: Any = operation.input_shape
    members = {} if shape is None else shape.members
    names = (name for name, member in members.items() if member.metadata.get("idempotencyToken"))
    return next(names, "")
