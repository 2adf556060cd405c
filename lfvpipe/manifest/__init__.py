"""Lookout for Vision's JSON Lines: dataset entries and EvaluationManifests, read and written here.

`read_line` and `write_line` are the only ones that know how a line is spelled. What a line means
depends on who reads it, and is said by name: `service_entry` refuses what the service refused,
`exported_entry` takes from a customer's file whatever can be used.
"""

from typing import TYPE_CHECKING

from lfvpipe import lazy

if TYPE_CHECKING:
    from lfvpipe.manifest.content import TrainingContent, training_content
    from lfvpipe.manifest.entries import Entry, exported_entry, service_entry
    from lfvpipe.manifest.evaluation import (
        Detection,
        EvaluationLine,
        ModelName,
        read_evaluation_line,
        write_evaluation_line,
    )
    from lfvpipe.manifest.labels import (
        GivenLabel,
        LabelRules,
        LabelTally,
        counted_names,
        fold,
    )
    from lfvpipe.manifest.lines import (
        Classification,
        Line,
        LineError,
        MapColour,
        Reference,
        creation_date,
        mask_reference,
        read_line,
        write_line,
    )
    from lfvpipe.manifest.relabelling import NewLabel, mark, relabel, remask, rename_type
else:
    __getattr__ = lazy.face(
        __name__,
        {
            "content": ["TrainingContent", "training_content"],
            "entries": ["Entry", "exported_entry", "service_entry"],
            "evaluation": [
                "Detection",
                "EvaluationLine",
                "ModelName",
                "read_evaluation_line",
                "write_evaluation_line",
            ],
            "labels": ["GivenLabel", "LabelRules", "LabelTally", "counted_names", "fold"],
            "lines": [
                "Classification",
                "Line",
                "LineError",
                "MapColour",
                "Reference",
                "creation_date",
                "mask_reference",
                "read_line",
                "write_line",
            ],
            "relabelling": ["NewLabel", "mark", "relabel", "remask", "rename_type"],
        },
    )

__all__ = [
    "Classification",
    "Detection",
    "Entry",
    "EvaluationLine",
    "GivenLabel",
    "LabelRules",
    "LabelTally",
    "Line",
    "LineError",
    "MapColour",
    "ModelName",
    "NewLabel",
    "Reference",
    "TrainingContent",
    "counted_names",
    "creation_date",
    "exported_entry",
    "fold",
    "mark",
    "mask_reference",
    "read_evaluation_line",
    "read_line",
    "relabel",
    "remask",
    "rename_type",
    "service_entry",
    "training_content",
    "write_evaluation_line",
    "write_line",
]
