"""A verdict for every evaluation image, and what the service found on its own test images."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from lfvpipe.engine.inputs import settings
from lfvpipe.engine.phrases import count, listing
from lfvpipe.engine.reasons import Reason
from lfvpipe.engine.step import Step, Work
from lfvpipe.lookout.descriptions import describe_model
from lfvpipe.lookout.likeness import UNLIKE
from lfvpipe.lookout.statuses import ModelStatus
from lfvpipe.steps.context import Context
from lfvpipe.steps.evaluate.outcome import EvaluateOutcome
from lfvpipe.steps.intact import has_digest, losses
from lfvpipe.steps.state_files import remove_files

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

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
        # Absent where nothing is said: what was judged before there was a choice stays judged.
        decide, to_person = pipeline.evaluate.decide, pipeline.evaluate.to_person
        inputs |= dict(_leaves("evaluate.decide", asdict(decide) if decide else {}))
        inputs |= dict(_leaves("evaluate.to_person", asdict(to_person) if to_person else {}))
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
        from lfvpipe.steps.evaluate.evaluation import evaluate

        return evaluate(context, work)

    def describe(self, outcome: Outcome) -> str:
        """Return how many images were judged, and how they fared."""
        evaluation = EvaluateOutcome.from_json(outcome.facts)
        if evaluation.images == 0 == evaluation.refused:
            return "no images to judge: `evaluate` names none"
        return listing(
            count("images", evaluation.images),
            count("anomalous", evaluation.anomalous),
            count("wrong", evaluation.wrong),
            count("doubtful", evaluation.review),
            count(UNLIKE, evaluation.unlike or 0),
            count("refused", evaluation.refused),
        )

    def missing(self, context: Context, outcome: Outcome) -> Sequence[Reason]:
        """Report verdict files that are gone or damaged, and what of a local bucket they came of.

        What is gone from the bucket is no loss: its owner may have cleared it up.
        """
        facts = EvaluateOutcome.from_json(outcome.facts)
        files = (facts.verdicts, facts.test, *([facts.training] if facts.training else []))
        tests = {file.path: has_digest(file.sha256) for file in files}
        for path, sha256 in (facts.sources or {}).items():
            if (there := context.buckets_dir / path).is_file():
                tests[str(there)] = has_digest(sha256)
        return losses(context, "evaluate", tests)

    def observe(self, context: Context, outcome: Outcome) -> Sequence[Reason]:
        """Report a model that was to stay hosted and is not."""
        kept = EvaluateOutcome.from_json(outcome.facts).kept
        if kept is None:
            return []
        found = describe_model(context.lookout, kept.project, kept.version)
        status = found["Status"] if found else None
        if status in {ModelStatus.HOSTED, ModelStatus.STARTING_HOSTING}:
            return []
        return [Reason("drift", f"hosting of model {kept.version}", ModelStatus.HOSTED, status)]

    def abandon(self, context: Context, saved: Facts) -> Sequence[str]:
        """Stop the model that a killed attempt left hosted, and remove the verdicts it had."""
        from lfvpipe.steps.evaluate.evaluation import remove_partial, stop_left
        from lfvpipe.steps.hosting import HostingSaved

        held = HostingSaved.from_json(saved).held
        return [*(stop_left(context, held) if held else []), *remove_partial(context)]

    def destroy(self, context: Context, outcome: Outcome) -> Sequence[str]:
        """Stop the model if it was left hosted, and remove the verdicts."""
        from lfvpipe.steps.evaluate.evaluation import remove_partial, stop_left

        facts = EvaluateOutcome.from_json(outcome.facts)
        files = (facts.verdicts, facts.test, facts.training)
        return [
            *(stop_left(context, facts.kept) if facts.kept else []),
            *remove_partial(context),
            *remove_files(context, *(each.path for each in files if each is not None)),
        ]


def _leaves(key: str, said: Mapping[str, Any]) -> Iterator[tuple[str, Json]]:
    """Yield what is said below a key, by dotted keys as in a pipeline file."""
    for name, value in said.items():
        if isinstance(value, dict):
            yield from _leaves(f"{key}.{name}", value)
        elif value is not None:
            yield f"{key}.{name}", value
