"""lfvpipe: from archives of product images to a trained anomaly detector, in one YAML file."""

__version__ = "0.1.0"
