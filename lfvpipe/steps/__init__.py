"""The twelve steps of a pipeline, one module each."""
