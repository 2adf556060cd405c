"""The select step: which images take part, and in which split."""
