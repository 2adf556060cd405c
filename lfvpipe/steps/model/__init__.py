"""The model step: a trained model version, its metrics, and its removal."""
