"""What is known of the images in a tree: what each is, what is left out, and what stays open."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from lfvpipe.cli.starter.covering import escaped
from lfvpipe.cli.starter.name_reading import MADE, TWINS, read_name

if TYPE_CHECKING:
    from lfvpipe.config.spec import Label
    from lfvpipe.dataset.listing import Part

Kind = Literal["normal", "anomaly", "leave-out"]


@dataclass(frozen=True)
class Group:
    """Images that one answer settles.

    Attributes:
        name: What the user calls them by: a folder, or a glob over files.
        names: Of the images.
        is_defect_type: They lie beside good products, and are called like no other thing.
        is_glob: The name is a glob over files, not a folder.
        doubt: What speaks against what their folder says, or against good products, as a phrase;
            "" for nothing.
        inside: The groups in several folders that these are, where one answer settles them all.
    """

    name: str
    names: tuple[str, ...]
    is_defect_type: bool = False
    is_glob: bool = False
    doubt: str = ""
    inside: tuple[Group, ...] = ()

    @property
    def usual(self) -> Kind | None:
        """What they are for certain enough to propose it; None where that depends."""
        return "leave-out" if self.doubt in (MADE, TWINS) else None

    @property
    def glob(self) -> str:
        """The glob over names in the tree that tells these images."""
        return self.name if self.is_glob else below(self.name)


def below(folder: str) -> str:
    """Return a glob over all that lies in a folder of the tree."""
    return f"{escaped(folder)}/**" if folder else "**"


@dataclass
class Sorting:
    """What became of each image.

    Attributes:
        labels: What an image is.
        parts: The part of a published split that it is in.
        no_parts: Names of folders that have a word for a part, and are none as far as is known.
        masks: Images that are masks.
        left_out: Why an image is not used.
        open: What nobody knows yet.
        types: Types of defects that folders beside the good ones name.
        told: By which glob over names in the tree an image is what it is: what told it, and what
            was seen, so that whatever comes later is not taken along.
        rules: What was gone by, where names could be meant otherwise, a line each.
    """

    labels: dict[str, Label] = field(default_factory=dict)
    parts: dict[str, Part] = field(default_factory=dict)
    no_parts: frozenset[str] = frozenset()
    masks: list[str] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    open: list[Group] = field(default_factory=list)
    types: list[Group] = field(default_factory=list)
    told: dict[str, str] = field(default_factory=dict)
    rules: list[str] = field(default_factory=list)

    def of(self, label: Label) -> list[str]:
        """Return the names of a label's images, in the tree's order."""
        return sorted(name for name, each in self.labels.items() if each == label)

    def part_of(self, folder: str) -> Part | None:
        """Return which part of a published split a folder is, by its name."""
        return None if folder in self.no_parts else read_name(folder).part

    def told_by_files(self) -> set[str]:
        """Return the images with a label that their own names told, and not their folders'."""
        folders = ("**", "/*")
        return {name for name in self.labels if not self.told[name].endswith(folders)}

    def settle(self, group: Group, kind: Kind) -> None:
        """Take what a group is from the user."""
        for each in group.inside or (group,):
            self.told |= dict.fromkeys(each.names, each.glob)
        if kind == "leave-out":
            said = f"as you said of {group.name}" if group.is_glob else "as you said"
            self.left_out |= dict.fromkeys(group.names, said)
        else:
            self.labels |= dict.fromkeys(group.names, kind)
        self.open = [each for each in self.open if each != group]
