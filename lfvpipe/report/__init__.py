"""What a run showed: metrics, run files, the terminal summary and the report page."""

from typing import TYPE_CHECKING

from lfvpipe import lazy

if TYPE_CHECKING:
    from lfvpipe.report import (
        comparison,
        comparison_view,
        corrected_labels,
        heat_maps,
        heat_pictures,
        history,
        learning_curve,
        metrics,
        policies,
        records,
        run_file,
        suspects,
        terminal,
        verdict_file,
    )
else:
    __getattr__ = lazy.face(
        __name__,
        {
            "comparison": [],
            "comparison_view": [],
            "corrected_labels": [],
            "heat_maps": [],
            "heat_pictures": [],
            "history": [],
            "learning_curve": [],
            "metrics": [],
            "policies": [],
            "records": [],
            "run_file": [],
            "suspects": [],
            "terminal": [],
            "verdict_file": [],
        },
    )

__all__ = [
    "comparison",
    "comparison_view",
    "corrected_labels",
    "heat_maps",
    "heat_pictures",
    "history",
    "learning_curve",
    "metrics",
    "policies",
    "records",
    "run_file",
    "suspects",
    "terminal",
    "verdict_file",
]
