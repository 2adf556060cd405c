"""Training: the job itself, the worker process that does it, and the launcher that starts those."""
