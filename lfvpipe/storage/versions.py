"""What a server calls the version of a resource that it has."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Validators:
    """What identifies a version of a resource; empty or None where the server does not tell."""

    etag: str = ""
    modified: str = ""
    total: int | None = None

    @property
    def if_range(self) -> str:
        """RFC 9110, section 13.1.5: a weak entity tag must not be used."""
        return self.etag if self.etag and not self.etag.startswith("W/") else self.modified
