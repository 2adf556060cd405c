"""Packaging a model as a component that judges images where no lfvpipe is installed."""
