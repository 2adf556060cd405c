"""What lies in folders and archives: which images are normal, which are not, and their sizes."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from lfvpipe import archives, images
from lfvpipe.cli.usage import UsageError
from lfvpipe.dataset.globs import is_image_name, matcher

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

NORMAL_WORDS = frozenset({"good", "ok", "normal", "normals", "pass", "passed", "perfect"})
ANOMALY_WORDS = frozenset(
    {"def", "defect", "defects", "defective", "anomaly", "anomalies", "anomalous", "abnormal"}
    | {"bad", "ng", "nok", "fail", "failed", "faulty", "reject", "rejected", "damaged", "broken"}
)
MASK_WORDS = frozenset({"mask", "masks", "groundtruth", "gt"})
TEST_WORDS = frozenset({"test", "evaluate", "evaluation"})
ARCHIVE_SUFFIXES = (".zip", ".tar", ".tgz", ".tar.gz", ".tar.bz2", ".tar.xz")
LOOKED_AT = 40  # images per label whose headers are read
_LONGEST_HEADER = 64 * 1024 * 1024


@dataclass(frozen=True)
class Place:
    """An archive or folder, and the images in it."""

    path: Path
    names: tuple[str, ...]

    @property
    def stem(self) -> str:
        """The name without its ending."""
        name = self.path.name
        suffix = next((end for end in ARCHIVE_SUFFIXES if name.lower().endswith(end)), "")
        return name[: len(name) - len(suffix)] if suffix else name


@dataclass(frozen=True)
class Label:
    """The images of one label: all of a place where `include` is empty, else the globs' matches."""

    place: Place
    names: tuple[str, ...]
    include: tuple[str, ...] = ()


@dataclass(frozen=True)
class Discovery:
    """What there is to make a pipeline of.

    Attributes:
        normal: Images of good products.
        anomaly: Images of defective products; None where there are none.
        masks: Where pixel masks lie.
        evaluate: Archives that look like a test set of their own.
        sizes: Width and height in px → how many of the images looked at have it.
        layout: What the layout is called, for the file's comment.
        notes: What the user should know.
    """

    normal: Label
    anomaly: Label | None
    masks: Path | None = None
    evaluate: tuple[Place, ...] = ()
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    layout: str = "archives by label"
    notes: tuple[str, ...] = ()


def discover(paths: Sequence[Path]) -> Discovery:
    """Look at folders and archives.

    Raises:
        UsageError: One is not there, or no normal images can be told.
        ArchiveError: One is damaged.
    """
    places = [_place(path) for path in _spread(paths)]
    # Both labels inside one place, as published data sets have them, else a place for each.
    layouts = (_mvtec, _dagm, _label_folders)
    inside = (found for place in places for read in layouts if (found := read(place)))
    found = next(inside, None) or _by_name([each for place in places for each in _folders(place)])
    if found is None:
        seen = ", ".join(f"{place.path.name} ({len(place.names)} images)" for place in places)
        raise UsageError(
            f"No normal images can be told apart: {seen or 'nothing is there'}.",
            hint="Name archives or folders like X and X_def, or good and bad.",
        )
    _refuse_mixed(found.normal)
    sizes: Counter[tuple[int, int]] = Counter()
    for label in (found.normal, found.anomaly):
        if label is not None:
            sizes.update(_sizes(label))
    return replace(found, sizes=sizes)


def _spread(paths: Iterable[Path]) -> Iterator[Path]:
    """Yield archives and folders; a folder of archives stands for its archives."""
    for path in paths:
        if not path.exists():
            raise UsageError(f"{path} is not there.", hint="Name a folder or archives of images.")
        inside = sorted(path.iterdir()) if path.is_dir() else []
        of_archives = [
            child
            for child in inside
            if child.is_file() and child.name.lower().endswith(ARCHIVE_SUFFIXES)
        ]
        yield from of_archives or [path]


def _place(path: Path) -> Place:
    with archives.open_archive(path) as archive:
        names = tuple(member.name for member in archive.members() if is_image_name(member.name))
    return Place(path, names)


def words(name: str) -> set[str]:
    """Return the words of a file's or folder's name, lower case: ``Class3_def`` → class3, def."""
    return {word for word in re.split(r"[^a-z0-9]+", name.lower()) if word} | {
        re.sub(r"[^a-z0-9]", "", name.lower())
    }


def _kind(name: str) -> str:
    found = words(name)
    for kind, known in (
        ("masks", MASK_WORDS),
        ("anomaly", ANOMALY_WORDS),
        ("normal", NORMAL_WORDS),
    ):
        if found & known:
            return kind
    return ""


def _mvtec(place: Place) -> Discovery | None:
    """Read the layout of MVTec AD: train/good, test/good, test/<defect>, ground_truth/<defect>."""
    top = sorted({"/".join(name.split("/")[:-1]) for name in place.names})
    good = [folder for folder in top if re.fullmatch(r"(.*/)?(train|test)/good", folder)]
    bad = [folder for folder in top if re.fullmatch(r"(.*/)?test/(?!good$)[^/]+", folder)]
    if not bad or not any(folder.endswith("train/good") for folder in good):
        return None
    masks = place.path / "ground_truth"
    return Discovery(
        _of_folders(place, good),
        _of_folders(place, bad),
        masks if masks.is_dir() else None,
        layout="the layout of MVTec AD",
    )


def _of_folders(place: Place, folders: Sequence[str]) -> Label:
    globs = tuple(f"{folder}/*" for folder in folders)
    names = tuple(name for name in place.names if str(PurePosixPath(name).parent) in folders)
    return Label(place, names, globs)


def _dagm(place: Place) -> Discovery | None:
    """Read DAGM's ten-class layout: an image is defective if Label/ holds a mask of its number."""
    masks = {
        name
        for name in place.names
        if re.search(r"(^|/)Label/[^/]+_label\.png$", name, re.IGNORECASE)
    }
    if not masks:
        return None
    defective = {
        re.sub(r"Label/([^/]+)_label(\.png)$", r"\1\2", name, flags=re.IGNORECASE) for name in masks
    }
    lower = {name.lower() for name in defective}
    images = [name for name in place.names if name not in masks]
    normal = tuple(name for name in images if name.lower() not in lower)
    anomaly = tuple(name for name in images if name.lower() in lower)
    if not normal or not anomaly:
        return None
    labels = Label(place, normal, normal), Label(place, anomaly, anomaly)
    return Discovery(
        *labels, layout="the ten-class layout of DAGM, where Label/ tells the defective"
    )


def _label_folders(place: Place) -> Discovery | None:
    folders: dict[str, set[str]] = {"normal": set(), "anomaly": set()}
    for name in place.names:
        parents = PurePosixPath(name).parts[:-1]
        kinds = [(_kind(part), index) for index, part in enumerate(parents) if _kind(part)]
        if kinds and kinds[-1][0] in folders:
            folders[kinds[-1][0]].add("/".join(parents[: kinds[-1][1] + 1]))
    if not folders["normal"] or not folders["anomaly"]:
        return None
    normal, anomaly = (_below(place, sorted(folders[kind])) for kind in ("normal", "anomaly"))
    return Discovery(normal, anomaly, _mask_folder(place), layout="folders named after the labels")


def _below(place: Place, folders: Sequence[str]) -> Label:
    globs = tuple(f"{folder}/**" for folder in folders)
    is_there = matcher(globs)
    return Label(place, tuple(name for name in place.names if is_there(name)), globs)


def _mask_folder(place: Place) -> Path | None:
    if not place.path.is_dir():
        return None
    inside = sorted(child for child in place.path.iterdir() if child.is_dir())
    return next((child for child in inside if _kind(child.name) == "masks"), None)


def _folders(place: Place) -> Iterator[Place]:
    """Yield the folders of a folder in which X and X_def lie side by side, else the place."""
    names: dict[str, list[str]] = {}
    for name in place.names:
        top, _, rest = name.partition("/")
        names.setdefault(top if rest else "", []).append(rest)
    if not place.path.is_dir() or "" in names or not {"", "anomaly"} <= set(map(_kind, names)):
        yield place
        return
    yield from (Place(place.path / top, tuple(inside)) for top, inside in sorted(names.items()))


def _refuse_mixed(label: Label) -> None:
    """Raise a UsageError if some, not all, of the images lie in folders of defects or masks."""
    folders = (PurePosixPath(name).parent for name in label.names)
    lain = Counter(folder.as_posix() for folder in folders)
    other = {
        folder: count
        for folder, count in lain.items()
        if any(_kind(part) in {"anomaly", "masks"} for part in folder.split("/"))
    }
    if label.include or not other or len(other) == len(lain):
        return
    said = ", ".join(f"{folder} ({count} images)" for folder, count in sorted(other.items()))
    raise UsageError(
        f"{label.place.path} holds more than normal images: {said}.",
        hint="Name folders or archives one by one: `lfvpipe init X X_def`.",
    )


def _by_name(places: Sequence[Place]) -> Discovery | None:
    """Tell labels by the names of archives and folders: X and X_def, good and bad."""
    with_images = [place for place in places if place.names]
    by_kind: dict[str, list[Place]] = {"normal": [], "anomaly": [], "masks": [], "test": [], "": []}
    for place in with_images:
        kind = _kind(place.stem) or ("test" if words(place.stem) & TEST_WORDS else "")
        by_kind[kind].append(place)
    normals = [*by_kind["normal"], *by_kind[""]]
    if not normals:
        return None
    normal, anomaly = _largest(normals), _largest(by_kind["anomaly"])
    used = [each.path for each in (normal, anomaly) if each]
    left = [each for each in (*normals, *by_kind["anomaly"]) if each.path not in used]
    return Discovery(
        Label(normal, normal.names) if normal else Label(normals[0], normals[0].names),
        Label(anomaly, anomaly.names) if anomaly else None,
        by_kind["masks"][0].path if by_kind["masks"] and anomaly else None,
        tuple(by_kind["test"]),
        notes=tuple(f"not used: {each.path.name} ({len(each.names)} images)" for each in left),
    )


def _largest(places: Sequence[Place]) -> Place | None:
    return max(places, key=lambda place: len(place.names), default=None)


def _sizes(label: Label) -> Iterator[tuple[int, int]]:
    """Yield the sizes of some images, evenly spread over the label's."""
    step = max(1, len(label.names) // LOOKED_AT)
    with archives.open_archive(label.place.path) as archive:
        for _, data in archive.extract(label.names[::step], _LONGEST_HEADER):
            if isinstance(data, archives.ArchiveError):
                continue
            try:
                facts = images.inspect(data)
            except images.ImageError:
                continue  # `check` will name it; here it only has no size
            yield facts.width, facts.height
