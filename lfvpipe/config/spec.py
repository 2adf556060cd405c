"""What a pipeline file says, as frozen dataclasses; every default is in the JSON Schema."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from lfvpipe.images.rules import WHITE, PixelRules

Label = Literal["normal", "anomaly"]
LABELS: tuple[Label, Label] = ("normal", "anomaly")
Limits = Literal["documented", "open"]


@dataclass(frozen=True)
class DefectTypes:
    """Where the type of a defect stands in an image's name; exactly one is given.

    Attributes:
        folder: Which folder of the name it is: 1 the topmost, -1 the one right above the image.
        pattern: A regular expression; its first group, or all that it finds, is the type.
    """

    folder: int | None = None
    pattern: str | None = None


@dataclass(frozen=True)
class Source:
    """Where the images of one label lie.

    Attributes:
        archive: An ``https://``, ``http://`` or ``s3://`` address, or the absolute path of a
            file or folder, or a glob over such; the first where there are several.
        sha256: The digest that the archive must have; hexadecimal, lower case.
        include: Globs over member names; empty means every image.
        masks: Where the pixel masks lie, in the same forms as `archive`.
        further: The other archives, in the same forms.
        exclude: Globs over member names, of what is left out all the same.
        encoding: What names in a zip are written in where nothing in it tells.
        types: Where the types of defects stand; None where they are not known.
    """

    archive: str
    sha256: str | None = None
    include: tuple[str, ...] = ()
    masks: str | None = None
    further: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    encoding: str | None = None
    types: DefectTypes | None = None


@dataclass(frozen=True, kw_only=True)
class ListedSource:
    """An archive of images of both labels, and what tells which image is what.

    Attributes:
        archive: Where the images lie, in the forms of a `Source`, one alone and no glob.
        sha256: The digest that the archive must have; hexadecimal, lower case.
        include: Globs over member names; empty means every image.
        exclude: Globs over member names, of what is left out all the same.
        encoding: What names in a zip are written in where nothing in it tells.
    """

    archive: str
    sha256: str | None = None
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    encoding: str | None = None


@dataclass(frozen=True, kw_only=True)
class TableSource(ListedSource):
    """A table with a row for each image.

    Attributes:
        file: CSV, TSV, JSON Lines or an array of JSON: an address or an absolute path.
        words: What words of the table's label column stand for.
        left_out: Words in there of images that take no part.
        columns: What its columns are called, by what they hold, where that is not known.
    """

    file: str
    words: Mapping[str, Label]
    left_out: tuple[str, ...] = ()
    columns: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class LayoutSource(ListedSource):
    """An archive in the layout of a published data set; `name` is one of `LAYOUTS`."""

    name: str


@dataclass(frozen=True, kw_only=True)
class AnnotationSource(ListedSource):
    """What an annotation tool exported.

    Attributes:
        format: One of `lfvpipe.dataset.annotations.FORMATS`.
        files: Files, folders or archives of annotations; none where they lie among the images.
        unmarked: Which images without a mark are normal: those that the export lists, all, or none.
        words: Classes that are no defects, and what words for whole images stand for.
    """

    format: str
    files: tuple[str, ...] = ()
    unmarked: Literal["listed", "normal", "leave-out"]
    words: Mapping[str, Label]


@dataclass(frozen=True)
class ManifestSource:
    """Data exported from Lookout for Vision: manifests instead of archives.

    Attributes:
        train: The training manifest: ``s3://``, ``https://`` or an absolute path.
        test: The test manifest, in the same forms; None for a single-dataset project.
        images: A folder or archive that holds the images, where the manifests' own
            ``s3://`` references no longer lead anywhere; None to follow the references.
        attribute: The label attribute that counts where a line has several; None for the newest.
        labels: Class names, as written, that stand for a label beside its own name.
    """

    train: str
    test: str | None = None
    images: str | None = None
    attribute: str | None = None
    labels: Mapping[Label, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Sources:
    """Archives by label, manifests, or an archive with what lists its images: one of the three.

    Attributes:
        by_label: ``sources.normal`` and ``sources.anomaly``; empty where one of the others is.
        manifest: The manifests; None where there are none.
        labels: The file that people's decisions about single images are in, absolute.
        listed: ``sources.table``, ``sources.layout`` or ``sources.annotations``.
    """

    by_label: Mapping[Label, Source]
    manifest: ManifestSource | None = None
    labels: str | None = None
    listed: TableSource | LayoutSource | AnnotationSource | None = None


@dataclass(frozen=True)
class Share:
    """How much of a label's images: a percentage (0 to 100) or a count; exactly one is given."""

    percent: float | None = None
    count: int | None = None


@dataclass(frozen=True)
class Sample:
    """How many images of each label take part, and the seed of the ranking."""

    shares: Mapping[Label, Share]
    seed: int = 1


@dataclass(frozen=True)
class NamesIn:
    """Text files with the name of an image on each line; absolute paths."""

    file: tuple[str, ...]


@dataclass(frozen=True)
class SplitGlobs:
    """Globs over the names of images, or names, of each part of an own split; or files of names."""

    train: tuple[str, ...] | NamesIn
    test: tuple[str, ...] | NamesIn

    @property
    def globs(self) -> tuple[str, ...]:
        """The globs of both parts."""
        parts = (self.train, self.test)
        return tuple(glob for each in parts if not isinstance(each, NamesIn) for glob in each)


@dataclass(frozen=True)
class Split:
    """How the sampled images of each label are divided.

    Attributes:
        train: How much trains, by label.
        test: How much tests; None for a single dataset.
        own: The own split that is kept exactly, in place of the shares: the source's, or by globs.
        is_default: Nothing was said: where the source brings a split, that is kept.
        group: A regular expression that finds what part an image shows in the image's name.
        stable: Whether images keep their side when others come or go.
    """

    train: Mapping[Label, Share]
    test: Mapping[Label, Share] | None
    own: Literal["source"] | SplitGlobs | None = None
    is_default: bool = False
    group: str | None = None
    stable: bool = False


@dataclass(frozen=True)
class Images:
    """How images are prepared.

    Attributes:
        resize: (width, height) in pixels.
        fit: How images fit into it; None for distorted.
        region: (left, top, width, height) in pixels of the part that counts.
        ignore: Polygons that are painted grey, of (right, down) in pixels; or the absolute path of
            a mask of what is.
        convert: A colour mode for all.
        depth: Bits of deep grey that the camera fills; None for the fewest that hold all images.
        background: ``#RRGGBB`` that shows where an image is transparent.
        damaged: What happens where images cannot be read.
    """

    resize: tuple[int, int] | None = None
    convert: Literal["RGB", "L"] | None = None
    depth: int | None = None
    background: str = WHITE
    damaged: Literal["stop", "leave-out"] = "stop"
    fit: Literal["contain", "cover", "stretch"] | None = None
    region: tuple[int, int, int, int] | None = None
    ignore: tuple[tuple[tuple[float, float], ...], ...] | str = ()

    def rules(self, white_level: float | None = None) -> PixelRules:
        """Return how photographs become pixels.

        Args:
            white_level: That of all images together, where `depth` does not say it.
        """
        level = white_level if self.depth is None else 2.0**self.depth - 1
        return PixelRules(level, self.background, self.convert)


@dataclass(frozen=True)
class Encryption:
    """How an S3 store is to encrypt objects: ``AES256`` or ``aws:kms``, and with which key."""

    sse: str
    key: str | None = None


@dataclass(frozen=True)
class Bucket:
    """The bucket.

    Attributes:
        name: Its name.
        endpoint: ``local``, ``aws`` or the URL of an S3 endpoint.
        prefix: Goes before every key.
        encryption: What is asked of the store; None: as the bucket says.
        requester_pays: We pay for requests.
    """

    name: str
    endpoint: str = "local"
    prefix: str = ""
    encryption: Encryption | None = None
    requester_pays: bool = False


@dataclass(frozen=True)
class Service:
    """The Lookout for Vision service.

    Attributes:
        endpoint: ``embedded`` or a URL.
        detector: The name of the detector that the embedded service trains with.
        limits: How many images it wants: as documented, or as few as can be learnt from.
    """

    endpoint: str = "embedded"
    detector: str = "default"
    limits: Limits = "open"

    @property
    def has_usual_limits(self) -> bool:
        """Whether the limits are those of such an endpoint where nobody says otherwise."""
        return self.limits == usual_limits(self.endpoint)


def usual_limits(endpoint: str) -> Limits:
    """Return how many images the service at `endpoint` wants where nobody says."""
    return "open" if endpoint == "embedded" else "documented"


@dataclass(frozen=True)
class Model:
    """What CreateModel is told.

    Attributes:
        output_prefix: Of the evaluation files' names.
        description: The version's.
        effort: How much time training may take.
    """

    output_prefix: str = ""
    description: str | None = None
    effort: Literal["fast", "default", "thorough"] = "default"


@dataclass(frozen=True)
class Hosting:
    """What StartModel is told, and whether the model stays hosted after the run."""

    min_inference_units: int = 1
    max_inference_units: int | None = None
    keep_running: bool = False


@dataclass(frozen=True)
class EvaluationArchive:
    """Evaluation images from an archive of their own.

    Attributes:
        archive: Where it lies, in the forms of a `Source`.
        include: Globs over member names; empty means every image.
        label: What the images really are; None where nobody knows.
        sha256: The digest that the archive must have; hexadecimal, lower case.
        key: The key that the user gave it under: ``evaluate.images[1]`` in a list.
        exclude: Globs over member names, of what is left out all the same.
        encoding: What names in a zip are written in where nothing in it tells.
    """

    archive: str
    include: tuple[str, ...] = ()
    label: Label | None = None
    sha256: str | None = None
    key: str = field(default="evaluate.images", compare=False)
    exclude: tuple[str, ...] = ()
    encoding: str | None = None


@dataclass(frozen=True)
class Costs:
    """What a mistake costs, and a person's look at an image, in any one unit.

    Attributes:
        person: None where nobody says, so that costs send no image to a person.
    """

    false_accept: float
    false_reject: float
    person: float | None = None


@dataclass(frozen=True)
class Decide:
    """What the decision on images is made by: one of the first four.

    Attributes:
        costs: The least cost, by calibrated probabilities.
        threshold: This score, 0 to 1.
        max_escape_rate: At most this share of defective products is called normal.
        max_false_alarm_rate: At most this share of good products is called anomalous.
        prevalence: The share of defective products on the line, for `costs`; None for that of the
            training images.
        confidence: With which a rate is to hold.
    """

    costs: Costs | None = None
    threshold: float | None = None
    max_escape_rate: float | None = None
    max_false_alarm_rate: float | None = None
    prevalence: float | None = None
    confidence: float | None = None


@dataclass(frozen=True)
class ToPerson:
    """The scores in between go to a person."""

    above: float
    below: float


@dataclass(frozen=True)
class Evaluate:
    """Which images get a verdict.

    Attributes:
        images: Names or globs over the sources' members, or over files (relative to `folder`).
        archives: Evaluation images that come from archives of their own.
        unused_per_label: How many images that neither train nor test took, of each label.
        review_below: Verdicts with less confidence (0.5 to 1) go to a person.
        decide: What the decision is made by; None for the best F1, which the model has by itself.
        to_person: Which images a person decides on; None for none.
    """

    images: tuple[str, ...] = ()
    archives: tuple[EvaluationArchive, ...] = ()
    unused_per_label: int = 0
    review_below: float = 0.75
    decide: Decide | None = None
    to_person: ToPerson | None = None


@dataclass(frozen=True)
class Mlflow:
    """The MLflow tracking server, and the experiment there; None for the pipeline's name."""

    tracking_uri: str
    experiment: str | None = None


@dataclass(frozen=True)
class Pipeline:
    """One experiment, ready to run.

    Attributes:
        file: The pipeline file, absolute.
        name: Names the pipeline's own folder in that of all state.
        matrix: Dotted keys to their values; empty when there is one experiment.
        mlflow: Where the run is told of; None for nowhere.
    """

    file: Path
    name: str
    project: str
    region: str
    sources: Sources
    sample: Sample
    split: Split
    images: Images
    bucket: Bucket
    service: Service
    model: Model
    hosting: Hosting
    evaluate: Evaluate
    matrix: Mapping[str, tuple[object, ...]]
    mlflow: Mlflow | None = None

    @property
    def folder(self) -> Path:
        """The folder that relative paths are relative to."""
        return self.file.parent
