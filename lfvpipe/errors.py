"""The root of every error that a user can put right."""


class UserError(Exception):
    """Something the user can put right; shown without a traceback.

    Args:
        message: What happened, and where.
        hint: What to do next.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  {self.hint}" if self.hint else self.message
