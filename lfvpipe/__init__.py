"""lfvpipe: from archives of product images to a trained anomaly detector, in one YAML file."""

import os

# Read by onnxruntime (1.29 and later) and MLflow as they are imported. Set here, before any module
# of ours can import them, and so in every process: command line, trainer, units, packaged runner.
# Not `setdefault`: the promise that nothing is sent home does not hang on the caller's environment.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"

__version__ = "0.1.0"
