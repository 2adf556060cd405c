"""What whoever runs this is called on this machine."""


def user_name() -> str:
    """Return the login name; "" for a user without one, as in some containers."""
    import getpass  # imports what only a terminal's questions need

    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return ""
