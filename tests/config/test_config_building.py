from collections.abc import Callable
from pathlib import Path

import pytest

from lfvpipe.config import Loaded, load, spec
from lfvpipe.config.names import bucket_name, is_reserved, pipeline_name, project_name
from lfvpipe.config.schema import at
from lfvpipe.config.spec import Share

Load = Callable[..., Loaded]


FULL = (
    """
name: dagm-class3
project: dagm-product-images-anomalies
region: eu-central-1
sources:
  normal:
    archive: https://example.org/Class3.zip
    sha256: {upper}
    include: ["**/*.png"]
  anomaly: {{archive: s3://bucket/Class3_def.zip, masks: masks, include: "*.png"}}
sample: {{percent: 40, anomaly: {{count: 60}}, seed: 2}}
split:
  {{train: 80, test: 20, stable: true, anomaly: {{train: {{count: 40}}, test: {{percent: 25}}}}}}
images: {{resize: 512x256, convert: L}}
bucket: {{name: my.bucket-1, endpoint: "https://s3.example.org", prefix: line-7/,
  encryption: {{sse: "aws:kms", key: line-7-key}}, requester_pays: true}}
service: {{endpoint: "http://127.0.0.1:8080"}}
model: {{output_prefix: DAGM_Model/, description: sample-40}}
hosting: {{min_inference_units: 2, max_inference_units: 3, keep_running: true}}
evaluate:
  images:
    - Class3/100.png
    - {{archive: C:\\\\data\\\\t.zip, include: ["*n*"], label: normal, sha256: {upper}}}
    - tests/*.png
  unused: {{per_label: 20}}
  review_below: 0.9
  costs: {{false_accept: 20, false_reject: 1}}
matrix: {{sample.percent: [10, 40]}}
""".format(upper="AB" * 32)
    .replace("C:\\\\data\\\\", "'C:\\data\\")
    .replace("t.zip,", "t.zip',")
)


def test_every_key_reaches_the_pipeline(load_text: Load, tmp_path: Path) -> None:
    pipeline = load_text(FULL).pipeline
    assert pipeline == spec.Pipeline(
        file=tmp_path / "line-7.yaml",
        name="dagm-class3",
        project="dagm-product-images-anomalies",
        region="eu-central-1",
        sources=spec.Sources(
            {
                "normal": spec.Source("https://example.org/Class3.zip", "ab" * 32, ("**/*.png",)),
                "anomaly": spec.Source(
                    "s3://bucket/Class3_def.zip", None, ("*.png",), str(tmp_path / "masks")
                ),
            }
        ),
        sample=spec.Sample({"normal": Share(percent=40), "anomaly": Share(count=60)}, 2),
        split=spec.Split(
            {"normal": Share(percent=80), "anomaly": Share(count=40)},
            {"normal": Share(percent=20), "anomaly": Share(percent=25)},
            stable=True,
        ),
        images=spec.Images((512, 256), "L"),
        bucket=spec.Bucket(
            "my.bucket-1",
            "https://s3.example.org",
            "line-7/",
            spec.Encryption("aws:kms", "line-7-key"),
            requester_pays=True,
        ),
        service=spec.Service("http://127.0.0.1:8080", limits="documented"),
        model=spec.Model("DAGM_Model/", "sample-40"),
        hosting=spec.Hosting(2, 3, True),
        evaluate=spec.Evaluate(
            ("Class3/100.png", "tests/*.png"),
            (spec.EvaluationArchive("C:\\data\\t.zip", ("*n*",), "normal", "ab" * 32),),
            20,
            0.9,
            spec.Decide(spec.Costs(20, 1)),
        ),
        matrix={"sample.percent": (10, 40)},
    )
    assert isinstance(pipeline.hosting.min_inference_units, int)


def test_everything_but_the_sources_has_a_default(
    load_text: Load, good: str, tmp_path: Path
) -> None:
    pipeline = load_text(good).pipeline
    whole, train, test = Share(percent=100), Share(percent=80), Share(percent=20)
    assert pipeline == spec.Pipeline(
        file=tmp_path / "line-7.yaml",
        name="line-7",
        project="line-7",
        region="us-east-1",
        sources=spec.Sources(
            {
                "normal": spec.Source(str(tmp_path / "good.zip")),
                "anomaly": spec.Source(str(tmp_path / "bad.zip")),
            }
        ),
        sample=spec.Sample({"normal": whole, "anomaly": whole}),
        split=spec.Split(
            {"normal": train, "anomaly": train},
            {"normal": test, "anomaly": test},
            is_default=True,
        ),
        images=spec.Images(),
        bucket=spec.Bucket("line-7"),
        service=spec.Service(),
        model=spec.Model(),
        hosting=spec.Hosting(),
        evaluate=spec.Evaluate(),
        matrix={},
    )


@pytest.mark.parametrize(
    "section",
    ["sample", "split", "images", "bucket", "service", "model", "hosting", "evaluate", "matrix"],
)
def test_an_empty_section_and_empty_keys_are_as_if_left_out(
    load_text: Load, good: str, section: str
) -> None:
    schema = at((section,)) or {}
    nulls = ", ".join(f"{key}: null" for key in schema.get("properties", {}))
    expected = load_text(good)
    for text in (f"{section}:\n", f"{section}: {{{nulls}}}\n"):
        found = load_text(good + text)
        assert found.pipeline == expected.pipeline


def test_normal_images_alone_are_enough(load_text: Load) -> None:
    loaded = load_text("sources: {normal: {archive: a}}\n")
    assert list(loaded.pipeline.sources.by_label) == ["normal"]


def test_manifests_replace_archives(load_text: Load, tmp_path: Path) -> None:
    text = "sources: {manifest: {train: s3://b/train.manifest, test: t.manifest, images: i}}\n"
    sources = load_text(text).pipeline.sources
    assert sources == spec.Sources(
        {},
        spec.ManifestSource(
            "s3://b/train.manifest", str(tmp_path / "t.manifest"), str(tmp_path / "i")
        ),
    )


def test_class_names_of_a_manifest_are_read_one_or_many(load_text: Load) -> None:
    text = (
        "sources: {manifest: {train: t, attribute: job2, labels: {normal: good, anomaly: [a, b]}}}"
    )
    manifest = load_text(text).pipeline.sources.manifest
    assert manifest is not None
    assert manifest.attribute == "job2"
    assert manifest.labels == {"normal": ("good",), "anomaly": ("a", "b")}


@pytest.mark.parametrize(
    "split",
    ["{train: 100}", "{train: {count: 50}}", "{train: 60, test: 0}", "{train: 100, test: 0}"],
)
def test_a_split_without_test_images_is_a_single_dataset(
    load_text: Load, good: str, split: str
) -> None:
    assert load_text(good + f"split: {split}\n").pipeline.split.test is None


@pytest.mark.parametrize("images", ["a/*.png", "[a/*.png]"])
def test_evaluation_images_stay_as_given(load_text: Load, good: str, images: str) -> None:
    loaded = load_text(good + f"evaluate: {{images: {images}}}\n")
    assert loaded.pipeline.evaluate.images == ("a/*.png",)


def test_one_evaluation_archive_needs_no_list(load_text: Load, good: str, tmp_path: Path) -> None:
    loaded = load_text(good + "evaluate: {images: {archive: t.zip, label: anomaly}}\n")
    assert loaded.pipeline.evaluate.archives == (
        spec.EvaluationArchive(str(tmp_path / "t.zip"), label="anomaly"),
    )


@pytest.mark.parametrize(
    "address", ["https://h/a.zip?x=1#y", "http://h/a", "s3://b/k?a", "C:\\a", "D:/a"]
)
def test_addresses_and_drives_stay_as_they_are(load_text: Load, address: str) -> None:
    loaded = load_text(f"sources: {{normal: {{archive: '{address}'}}}}\n")
    assert loaded.pipeline.sources.by_label["normal"].archive == address


@pytest.mark.parametrize("address", ["HTTPS://u:p@H/a.zip?X=Y", "Http://h/A", "S3://b/K"])
def test_the_scheme_of_an_address_is_in_small_letters(load_text: Load, address: str) -> None:
    loaded = load_text(f"sources: {{normal: {{archive: '{address}'}}}}\n")
    scheme, rest = address.split("://")
    archive = loaded.pipeline.sources.by_label["normal"].archive
    assert archive == f"{scheme.lower()}://{rest}"


def test_a_tilde_is_the_home_folder(load_text: Load) -> None:
    loaded = load_text("sources: {normal: {archive: ~/good.zip}}\n")
    assert loaded.pipeline.sources.by_label["normal"].archive == str(Path.home() / "good.zip")


def test_a_relative_file_makes_absolute_paths(
    tmp_path: Path, good: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "p.yaml").write_text(good.replace("good.zip", "../a b/./x"))
    monkeypatch.chdir(tmp_path)
    pipeline = load(Path("sub/p.yaml")).pipeline
    assert pipeline.file == tmp_path / "sub" / "p.yaml"
    assert pipeline.sources.by_label["normal"].archive == str(tmp_path / "a b" / "x")


@pytest.mark.parametrize(
    ("stem", "name"),
    [
        ("dagm-class3", "dagm-class3"),
        ("My line (7)", "My-line-7"),
        ("Prüfung", "Pr-fung"),
        ("…", "pipeline"),
        ("cache", "pipeline-cache"),
        ("kept", "pipeline-kept"),
        ("con", "pipeline-con"),
        (".hidden", "hidden"),
        ("a" * 100, "a" * 64),
    ],
)
def test_a_name_follows_from_the_file(stem: str, name: str) -> None:
    assert pipeline_name(stem) == name
    assert not is_reserved(name)


@pytest.mark.parametrize(
    ("name", "bucket"),
    [
        ("dagm-class3", "dagm-class3"),
        ("My.Line_7", "my-line-7"),
        ("ab", "lfvpipe-ab-images"),
        ("_", "lfvpipe--images"),
        ("xn--a", "lfvpipe-xn--a-images"),
        ("a" * 70, "a" * 63),
    ],
)
def test_a_bucket_follows_from_the_project(
    load_text: Load, good: str, name: str, bucket: str
) -> None:
    assert bucket_name(project_name(name)) == bucket
    assert load_text(good + f"bucket: {{name: {bucket}}}\n").pipeline.bucket.name == bucket


def test_a_common_count_holds_for_both_labels(load_text: Load, good: str) -> None:
    shares = load_text(good + "sample: {count: 9}\n").pipeline.sample.shares
    assert shares == {"normal": Share(count=9), "anomaly": Share(count=9)}


def test_a_label_may_only_test_so_that_normal_images_alone_are_learnt_from(
    load_text: Load, good: str
) -> None:
    split = "split: {train: 80, test: 20, anomaly: {train: 0, test: 100}}\n"
    found = load_text(good + split).pipeline.split
    assert found.train["anomaly"] == Share(percent=0)
    assert found.test is not None
    assert found.test["anomaly"] == Share(percent=100)


def test_a_label_may_have_several_archives_and_leave_some_of_them_out(
    load_text: Load, tmp_path: Path
) -> None:
    text = """
sources:
  normal: {archive: [good.zip, "more/*.zip", "s3://b/x.zip"], exclude: "**/off/*", encoding: gbk}
  anomaly: {archive: bad, types: folder}
"""
    sources = load_text(text).pipeline.sources.by_label
    assert sources["normal"] == spec.Source(
        str(tmp_path / "good.zip"),
        further=(str(tmp_path / "more" / "*.zip"), "s3://b/x.zip"),
        exclude=("**/off/*",),
        encoding="gbk",
    )
    assert sources["anomaly"].types == spec.DefectTypes(folder=-1)
    other = load_text(text.replace("types: folder", "types: {pattern: '([a-z]+)_'}")).pipeline
    assert other.sources.by_label["anomaly"].types == spec.DefectTypes(pattern="([a-z]+)_")


def test_images_may_be_listed_by_a_table_a_layout_or_annotations(
    load_text: Load, tmp_path: Path
) -> None:
    table = load_text(
        "sources: {table: {file: t/labels.csv, labels: {anomaly: [ng, '1'], leave-out: x},"
        " columns: {path: Aufnahme, label: Befund, mask: null}}}"
    )
    assert table.pipeline.sources == spec.Sources(
        {},
        listed=spec.TableSource(
            archive=str(tmp_path / "t"),
            file=str(tmp_path / "t" / "labels.csv"),
            words={"ng": "anomaly", "1": "anomaly"},
            left_out=("x",),
            columns={"path": "Aufnahme", "label": "Befund"},
        ),
    )
    layout = load_text("sources: {layout: {name: mvtec-ad, archive: bottle.zip}}").pipeline
    assert layout.sources.listed == spec.LayoutSource(
        name="mvtec-ad", archive=str(tmp_path / "bottle.zip")
    )
    marked = load_text(
        "sources: {annotations: {format: coco, file: [a.json, b.json], archive: photos,"
        " include: '*.png'}}"
    ).pipeline
    assert marked.sources.listed == spec.AnnotationSource(
        archive=str(tmp_path / "photos"),
        include=("*.png",),
        format="coco",
        files=(str(tmp_path / "a.json"), str(tmp_path / "b.json")),
        unmarked="listed",
        words={},
    )
    assert marked.split.test is not None


def test_costs_may_say_what_a_persons_look_costs(load_text: Load, good: str) -> None:
    costs = "{false_accept: 20, false_reject: 1, person: 0.2}"
    told = load_text(good + f"evaluate: {{decide: {{costs: {costs}}}}}\n").pipeline
    assert told.evaluate.decide == spec.Decide(spec.Costs(20, 1, 0.2))
    costs = costs.replace("0.2", "null")
    told = load_text(good + f"evaluate: {{decide: {{costs: {costs}}}}}\n").pipeline
    assert told.evaluate.decide == spec.Decide(spec.Costs(20, 1))


def test_a_split_may_be_the_sources_own_or_by_names(
    load_text: Load, good: str, tmp_path: Path
) -> None:
    own = load_text(
        good + "split: {from: {train: ['train/**', a.png], test: 'test/**'}}\n"
    ).pipeline
    assert own.split.own == spec.SplitGlobs(("train/**", "a.png"), ("test/**",))
    lists = load_text(
        good + "split: {from: {train: {file: a.txt}, test: {file: [b.txt, c.txt]}}}\n"
    )
    assert lists.pipeline.split.own == spec.SplitGlobs(
        spec.NamesIn((str(tmp_path / "a.txt"),)),
        spec.NamesIn((str(tmp_path / "b.txt"), str(tmp_path / "c.txt"))),
    )
    drawn = load_text(good + "split: {stable: true}\n").pipeline.split
    assert (drawn.stable, drawn.is_default) == (True, True)
    layout = "sources: {layout: {name: visa, archive: v.zip}}\nsplit: {from: source}\n"
    assert load_text(layout).pipeline.split.own == "source"
    grouped = load_text(good + "split: {group: '^([^_]+)_'}\n").pipeline.split
    assert (grouped.group, grouped.is_default) == ("^([^_]+)_", False)


@pytest.mark.parametrize(
    ("service", "limits"),
    [
        ("{}", "open"),
        ("{endpoint: embedded, limits: documented}", "documented"),
        ("{endpoint: 'https://lookout.example.org'}", "documented"),
        ("{endpoint: 'https://lookout.example.org', limits: open}", "open"),
    ],
)
def test_the_embedded_service_trains_on_less_than_is_documented_unless_told(
    service: str, limits: str, tmp_path: Path
) -> None:
    file = tmp_path / "pipeline.yaml"
    file.write_text(f"sources: {{normal: {{archive: a.zip}}}}\nservice: {service}\n")
    assert load(file).pipeline.service.limits == limits


def test_how_images_fit_and_which_part_counts(load_text: Load, tmp_path: Path) -> None:
    text = "sources: {normal: {archive: good}}\nsplit: {train: 100}\nimages: "
    images = load_text(
        text + "{resize: {size: 512x256, fit: contain}, region: [1, 2, 300, 200],"
        " ignore: [[[0, 0], [9, 0], [9, 9.5]]]}"
    ).pipeline.images
    assert (images.resize, images.fit, images.region) == ((512, 256), "contain", (1, 2, 300, 200))
    assert images.ignore == (((0.0, 0.0), (9.0, 0.0), (9.0, 9.5)),)
    mask = load_text(text + "{ignore: mask.png}").pipeline.images.ignore
    assert mask == str(tmp_path / "mask.png")
