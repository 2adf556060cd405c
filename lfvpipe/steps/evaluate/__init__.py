"""The evaluate step: a hosted model's verdicts on the evaluation images."""
