"""The way in, of the console script and of ``python -m lfvpipe``.

It imports nothing before it can answer Ctrl-C: the command line's own imports take a moment.
"""


def main() -> int:
    """Run the command line on the process's arguments; return its exit code."""
    _open_closed_streams()
    try:
        from lfvpipe.cli.main import main as run

        return run()
    except KeyboardInterrupt:
        import sys

        sys.stderr.write("interrupted\n")
        return 130


def _open_closed_streams() -> None:
    """Have standard streams that are closed lead nowhere, as in a daemon or under pythonw.

    Before any file is opened: the ledger would get the number of one of them, and what is printed
    would go into it.
    """
    import os
    import sys

    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            nothing = os.open(os.devnull, os.O_RDWR)
            if nothing != number:
                os.dup2(nothing, number)
                os.close(nothing)
            os.set_inheritable(number, True)
        if getattr(sys, name) is None:
            mode = "w" if number else "r"
            # Open as long as the process.
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115


if __name__ == "__main__":
    raise SystemExit(main())
