"""A verdict for every evaluation image, and what the service found on its own test images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from lfvpipe.engine.inputs import settings
from lfvpipe.engine.reasons import Reason
from lfvpipe.engine.step import Step, Work
from lfvpipe.lookout.descriptions import describe_model
from lfvpipe.steps.context import Context
from lfvpipe.steps.evaluate.outcome import verdict_path

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lfvpipe.engine.inputs import Input
    from lfvpipe.engine.outcome import Facts, Json, Outcome


class EvaluateStep(Step[Context]):
    """Hosts the model, asks it about the evaluation images, and stops it again.

    Verdicts depend on the model and the image alone, so those of an earlier configuration with
    the same model are taken over: another ``review_below`` or one more image hosts nothing, or
    asks about one image only.
    """

    name = "evaluate"
    needs = ("model", "extract")

    def inputs(self, context: Context) -> Sequence[Input]:
        """Return what a verdict says beyond the service's answer, and whether hosting goes on."""
        pipeline = context.pipeline
        inputs: dict[str, Json] = {"evaluate.review_below": pipeline.evaluate.review_below}
        hosting = pipeline.hosting
        if hosting.keep_running:
            inputs |= {
                "hosting.keep_running": True,
                "hosting.min_inference_units": hosting.min_inference_units,
                "hosting.max_inference_units": hosting.max_inference_units,
            }
        return settings(inputs)

    def act(self, context: Context, work: Work) -> Outcome:
        """Collect verdicts, hosting the model only where some are missing."""
        from lfvpipe.steps.evaluate.evaluation import evaluated

        return evaluated(context, work)

    def missing(self, context: Context, outcome: Outcome) -> Sequence[Reason]:
        """Report verdict files that are gone."""
        paths = [verdict_path(outcome, "verdicts"), verdict_path(outcome, "test")]
        return [
            Reason("output-missing", path)
            for path in paths
            if not (context.state_dir / path).is_file()
        ]

    def observe(self, context: Context, outcome: Outcome) -> Sequence[Reason]:
        """Report a model that was to stay hosted and is not."""
        kept = outcome.facts.get("kept")
        if not isinstance(kept, Mapping):
            return []
        found = describe_model(context.lookout, str(kept["project"]), str(kept["version"]))
        status = found["Status"] if found else None
        if status in {"HOSTED", "STARTING_HOSTING"}:
            return []
        return [Reason("drift", f"hosting of model {kept['version']}", "HOSTED", status)]

    def abandon(self, context: Context, saved: Facts) -> Sequence[str]:
        """Stop the model that a killed attempt left hosted."""
        from lfvpipe.steps.evaluate.evaluation import stop_kept

        return stop_kept(context, saved.get("held"))

    def destroy(self, context: Context, outcome: Outcome) -> Sequence[str]:
        """Stop the model if it was left hosted; the verdict files go with the state folder."""
        from lfvpipe.steps.evaluate.evaluation import stop_kept

        return stop_kept(context, outcome.facts.get("kept"))
