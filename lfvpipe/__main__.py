"""The way in, of the console script and of ``python -m lfvpipe``.

It imports nothing before it can answer Ctrl-C: the command line's own imports take a moment.
"""


def main() -> int:
    """Run the command line on the process's arguments; return its exit code."""
    try:
        from lfvpipe.cli.main import main as run

        return run()
    except KeyboardInterrupt:
        import sys

        sys.stderr.write("interrupted\n")
        return 130


if __name__ == "__main__":
    raise SystemExit(main())
