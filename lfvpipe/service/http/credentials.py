"""The access keys that clients sign with, in a file like AWS's own credentials file."""

import configparser
import os
import secrets
import string
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from filelock import FileLock

from lfvpipe import atomic
from lfvpipe.errors import UserError
from lfvpipe.service.roles import Role

_KEY, _SECRET = "aws_access_key_id", "aws_secret_access_key"
_TOKEN = "aws_session_token"  # noqa: S105  (a setting's name)
_ROLE = "lfvpipe_role"
_LETTERS = string.ascii_uppercase + "234567"


class AccessKey(NamedTuple):
    """The secret of a key, and the session token that requests must carry; "" for none.

    A file from before there were roles, or of AWS's own, names none: its keys are for everything.
    """

    secret: str
    token: str = ""
    role: Role = Role.ADMIN


def read_keys(file: Path) -> Mapping[str, AccessKey]:
    """Return the access keys in `file` by access key id; every profile's key is good.

    Raises:
        UserError: The file cannot be read, holds no key, or gives one no role or several. No
            message quotes a secret.
    """
    found = configparser.RawConfigParser(strict=False)
    try:
        found.read_string(file.read_text("utf-8-sig"))
    except OSError as error:
        raise UserError(f"The credentials in {file} cannot be read: {error.strerror}.") from error
    except (configparser.Error, UnicodeDecodeError):
        hint = f"It wants [profile] sections with {_KEY} and {_SECRET}, as AWS's own."
        raise UserError(f"{file} is no credentials file.", hint=hint) from None
    keys: dict[str, AccessKey] = {}
    for section in (found[name] for name in found):
        if not (section.get(_KEY) and section.get(_SECRET)):
            continue
        access_key, role = section[_KEY].strip(), _role_of(section, file)
        if access_key in keys and keys[access_key].role != role:
            roles = f"{keys[access_key].role.value} and {role.value}"
            hint = f"Give it one {_ROLE} in all profiles; without one, a key is admin."
            raise UserError(f"The access key {access_key} in {file} is {roles}.", hint=hint)
        token = (section.get(_TOKEN) or "").strip()
        keys[access_key] = AccessKey(section[_SECRET].strip(), token, role)
    if not keys:
        hint = f"Give a [default] section {_KEY} and {_SECRET}."
        raise UserError(f"{file} holds no access key.", hint=hint)
    return keys


def _role_of(section: configparser.SectionProxy, file: Path) -> Role:
    ours = sorted(name for name in section if name.startswith("lfvpipe"))
    if not ours:
        return Role.ADMIN
    unknown = next((name for name in ours if name != _ROLE), _ROLE)
    if unknown == _ROLE:
        with suppress(ValueError):
            return Role((section[_ROLE] or "").strip())
    known = ", ".join(role.value for role in Role)  # what is misspelt must not make an admin
    hint = f"Write {_ROLE} = and one of {known}; without that line, a key is admin."
    message = f"The profile [{section.name}] in {file} has {unknown}, which gives it no role."
    raise UserError(message, hint=hint)


def is_exposed(file: Path) -> bool:
    """Say whether other users of this machine may read `file`, where the system can tell."""
    return os.name != "nt" and bool(file.stat().st_mode & 0o077)


def ensure_keys(file: Path) -> bool:
    """Write a new key to `file`, for its owner only, unless the file exists.

    Two processes that start at once agree on one key.

    Returns:
        Whether a key was written.

    Raises:
        UserError: The file cannot be written.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{file}.lock"):
            if file.exists():
                return False
            atomic.write_text(file, _new_file(), secret=True)
    except OSError as error:
        raise UserError(f"Credentials cannot be written to {file}: {error.strerror}.") from error
    return True


def _new_file() -> str:
    access_key = "LFVP" + "".join(secrets.choice(_LETTERS) for _ in range(16))
    lines = (
        "# The access key of clients of `lfvpipe serve`. Keep it as you keep AWS's.",
        "[default]",
        f"{_KEY} = {access_key}",
        f"{_SECRET} = {secrets.token_urlsafe(30)}",
    )
    return "".join(f"{line}\n" for line in lines)
