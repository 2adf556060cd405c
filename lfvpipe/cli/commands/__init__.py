"""One module a command, each with a function ``run(options) -> int``: the exit code."""
