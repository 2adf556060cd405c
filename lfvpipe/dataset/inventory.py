"""What each archive of a pipeline holds, and what of it is left out: that is counted and said."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from lfvpipe.dataset.checks.findings import Finding, warning
from lfvpipe.dataset.globs import is_image_name, matcher

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from lfvpipe.archives import Member

# The code of a finding about nothing but what systems leave lying about, such as .DS_Store.
JUNK = "junk"
_MAX_KINDS = 12  # that one finding counts
# What `Archive.skipped` calls things, and what several of them are called.
_PLURALS = {
    "link that leads nowhere": "links that lead nowhere",
    "link out of the archive": "links out of the archive",
    "linked folder that holds itself": "linked folders that hold themselves",
    "device or special file": "devices or special files",
    "no file": "special files",
    "hidden": "hidden files",
    "heat map": "heat maps",
    "archive inside that cannot be read": "archives inside that cannot be read",
    "archive two levels deep": "archives two levels deep",
    "thumbs.db": "Thumbs.db",
}
_SINGULARS = {"hidden": "hidden file", "thumbs.db": "Thumbs.db", "no file": "special file"}


@dataclass
class Holding:
    """An archive or folder as it lies on this machine.

    Attributes:
        source: The fetch step's member; images in the selection name it.
        address: What messages call it.
        path: Where it lies.
        encoding: What names in it are written in where nothing in it tells.
        prefix: What is put before the names of its images.
        members: Sorted by name.
        skipped: How many entries were no members, by kind.
        unread: Archives inside that were not read.
        guessed_encoding: What names were read as where nothing tells; "" otherwise.
        used: The names of the members that something came of.
        reasons: Why a member is left out, by its name, where that is known.
        exclude: The globs that name what is left out.
    """

    source: str
    address: str
    path: Path
    encoding: str | None = None
    prefix: str = ""
    members: Sequence[Member] = ()
    skipped: Counter[str] = field(default_factory=Counter)
    unread: Sequence[str] = ()
    guessed_encoding: str = ""
    used: set[str] = field(default_factory=set)
    reasons: dict[str, str] = field(default_factory=dict)
    exclude: Sequence[str] = ()

    @property
    def images(self) -> list[Member]:
        """The members whose names are those of images."""
        return [member for member in self.members if is_image_name(member.name)]

    def leave_out(self, names: Iterable[str], reason: str) -> None:
        """Note why members are left out; what something else uses is not."""
        for name in names:
            self.reasons.setdefault(name, reason)

    def wanted(self, include: Sequence[str], exclude: Sequence[str]) -> Callable[[str], bool]:
        """Return a test whether a member is wanted; why one is not is noted."""
        is_included, is_excluded = matcher(include), matcher(exclude)
        self.exclude = exclude

        def is_wanted(name: str) -> bool:
            if not is_included(name):
                self.leave_out([name], "that `include` does not match")
            elif exclude and is_excluded(name):
                self.leave_out([name], "that `exclude` names")
            else:
                return True
            return False

        return is_wanted


class Inventory:
    """The archives that were looked into."""

    def __init__(self) -> None:
        self._holdings: list[Holding] = []

    def open(
        self, source: str, address: str, path: Path, encoding: str | None = None, prefix: str = ""
    ) -> Holding:
        """Return what the archive or folder at `path` holds.

        Raises:
            ArchiveError: It cannot be used.
        """
        holding = Holding(source, address, path, encoding, prefix)
        again = next((each for each in self._holdings if _is_same(each, holding)), None)
        if again is not None:
            holding.members, holding.skipped = again.members, again.skipped
            holding.guessed_encoding, holding.unread = again.guessed_encoding, again.unread
        else:
            _list(holding)
        self._holdings.append(holding)
        return holding

    def places(self) -> dict[str, tuple[Path, str | None]]:
        """Return where each source lies: two sources may be one archive."""
        return {each.source: (each.path, each.encoding) for each in self._holdings}

    def use(self, source: str, member: str) -> None:
        """Note that something came of a member."""
        for each in self._holdings:
            if each.source == source:
                each.used.add(member)

    def is_excluded(self, source: str, member: str) -> bool:
        """Tell whether an `exclude` over the archive of a source names a member of it."""
        place = self.places()[source]
        return any(
            matcher(each.exclude)(member)
            for each in self._holdings
            if each.exclude and (each.path, each.encoding) == place
        )

    def findings(self) -> list[Finding]:
        """Return what was left out of each archive, and where names had to be guessed at."""
        found = [each for shared in self._by_archive() for each in _findings(shared)]
        return [*found, *self._excluding_nothing()]

    def _excluding_nothing(self) -> Iterator[Finding]:
        """Yield a warning for each glob of an `exclude` that no file matches: it is misspelt."""
        for glob in dict.fromkeys(glob for each in self._holdings for glob in each.exclude):
            matches = matcher([glob])
            names = [
                member.name
                for each in self._holdings
                if glob in each.exclude
                for member in each.members
            ]
            if names and not any(map(matches, names)):
                text = (
                    f"`exclude` names {glob}, which nothing matches: names look like"
                    f" {', '.join(names[:3])}"
                )
                yield warning("excluding-nothing", text)

    def _by_archive(self) -> Iterator[list[Holding]]:
        """Yield the holdings of each archive: both labels may lie in one."""
        groups: dict[tuple[Path, str | None], list[Holding]] = defaultdict(list)
        for each in self._holdings:
            groups[each.path, each.encoding].append(each)
        yield from groups.values()


def _is_same(one: Holding, other: Holding) -> bool:
    return (one.path, one.encoding) == (other.path, other.encoding)


def _list(holding: Holding) -> None:
    from lfvpipe.archives import open_archive

    with open_archive(holding.path, encoding=holding.encoding) as archive:
        holding.members = sorted(archive.members(), key=lambda member: member.name)
        holding.skipped = Counter(archive.skipped)
        holding.guessed_encoding = archive.guessed_encoding
        holding.unread = tuple(archive.unread)


def _findings(shared: Sequence[Holding]) -> Iterator[Finding]:
    holding = shared[0]
    used = {name for each in shared for name in each.used}
    reasons = {name: reason for each in reversed(shared) for name, reason in each.reasons.items()}
    left = [each.name for each in holding.members if each.name not in used]
    counted = Counter({kind_in_words(kind, n): n for kind, n in holding.skipped.items()})
    for name in left:
        ending = PurePosixPath(name).suffix.lower() or "file without an ending"
        reason = reasons.get(name, "" if is_image_name(name) else "that is no image to learn from")
        counted[f"{ending} {reason}".strip()] += 1
    if counted:
        # By number, then by name: not by the archive's order.
        ordered = sorted(counted.items(), key=lambda item: (-item[1], item[0]))
        kinds = [f"{count:,} {kind}" for kind, count in ordered[:_MAX_KINDS]]
        if len(counted) > _MAX_KINDS:
            kinds.append(f"and {len(counted) - _MAX_KINDS} more kinds")
        text = f"{holding.address}: not used: {', '.join(kinds)}"
        yield warning(
            "left-out" if left or _has_more_than_junk(holding.skipped) else JUNK, text, left
        )
    if holding.unread:
        count = len(holding.unread)
        are = "1 archive inside is" if count == 1 else f"{count} archives inside are"
        text = (
            f"{holding.address}: {are} not read, such as {holding.unread[0]}: an archive in it is"
            " read one level deep, and has to be whole. Unpack it, or name it itself"
        )
        yield warning("unread-archives", text, holding.unread)
    if holding.guessed_encoding:
        odd = [each.name for each in holding.members if not each.name.isascii()]
        text = (
            f"{holding.address}: does not say what the names in it are written in; they were read"
            f" as {holding.guessed_encoding}. Should they look wrong, declare it, such as"
            " `encoding: shift_jis`"
        )
        yield warning("guessed-encoding", text, odd)


def _has_more_than_junk(skipped: Counter[str]) -> bool:
    from lfvpipe.archives import JUNK_KINDS

    return not skipped.keys() <= JUNK_KINDS


def kind_in_words(kind: str, count: int) -> str:
    """Return a kind of what is left out as it stands behind its count."""
    if count == 1:
        return _SINGULARS.get(kind, kind)
    return _PLURALS.get(kind, kind)
