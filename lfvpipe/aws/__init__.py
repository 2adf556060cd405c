"""How boto3's clients call, whatever of: as patiently as `lfvpipe.patience` says."""

from typing import TYPE_CHECKING

from lfvpipe import lazy

if TYPE_CHECKING:
    from lfvpipe.aws.calls import (
        CONNECT_SECONDS,
        ForeignAnswer,
        call_patiently,
        config,
        reason_of,
        trouble_of,
    )
else:
    __getattr__ = lazy.face(
        __name__,
        {
            "calls": [
                "CONNECT_SECONDS",
                "ForeignAnswer",
                "call_patiently",
                "config",
                "reason_of",
                "trouble_of",
            ]
        },
    )

__all__ = [
    "CONNECT_SECONDS",
    "ForeignAnswer",
    "call_patiently",
    "config",
    "reason_of",
    "trouble_of",
]
