"""Runs the command line: ``python -m lfvpipe``."""

from lfvpipe.cli.main import main

if __name__ == "__main__":
    raise SystemExit(main())
