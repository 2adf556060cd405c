"""A login and a signature in an archive's address go to the server and nowhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from tests.end_to_end.conftest import Workshop
    from tests.workshop import Said

SECRETS = ("hunter2", "SECRETSIG", "SECONDSIG")
PIPELINE = """\
sources:
  normal: {{archive: "{site}/good.zip?X-Amz-Signature=SECRETSIG"{more}}}
  anomaly: {{archive: "{site}/bad.zip?X-Amz-Signature=SECRETSIG"}}
sample: {{normal: {{percent: 50}}, anomaly: {{count: 8}}}}
split: {{train: 50, test: 50}}
evaluate: {{images: [good/0.png, bad/0.png]}}
"""


def _leaks(workshop: Workshop, said: list[Said]) -> list[str]:
    """Return where a secret is told: in what was printed, or in a file that a run left."""
    texts: dict[str, bytes] = {}
    for number, one in enumerate(said):
        texts[f"printed {number}"] = (one.out + one.err).encode()
    for file in (workshop.folder / ".lfvpipe").rglob("*"):
        if file.is_file():
            name = file.relative_to(workshop.folder).as_posix()
            texts[name] = name.encode() + file.read_bytes()
    secrets = [secret.encode() for secret in SECRETS]
    return [where for where, text in texts.items() if any(one in text for one in secrets)]


def test_no_secret_of_an_address_is_printed_or_kept(
    workshop: Workshop, archives: Path, web: Any
) -> None:
    for name in ("good.zip", "bad.zip"):
        web.files[f"/{name}"] = (archives / name).read_bytes()
    site = web.url.replace("http://", "http://bob:hunter2@")
    file = workshop.write(PIPELINE.format(site=site, more=""))
    said = [
        workshop.lfvpipe("validate"),
        workshop.lfvpipe("validate", "--json"),
        workshop.lfvpipe("plan", "--json"),
        workshop.lfvpipe("run", "--log-format", "json"),
    ]
    assert [one.code for one in said] == [0, 0, 2, 0], said[-1].err

    file.write_text(file.read_text().replace("SECRETSIG", "SECONDSIG"))
    renewed = workshop.lfvpipe("run", "--json", "--until", "check")
    actions = {row["step"]: row["action"] for row in renewed.json["variants"][0]["steps"]}
    assert (actions["select"], actions["check"]) == ("unchanged", "unchanged")

    web.etags = {"/good.zip": '"new"'}
    said += [renewed, workshop.lfvpipe("plan", "--refresh"), workshop.lfvpipe("status", "--json")]
    assert "drift" in workshop.lfvpipe("plan", "--refresh", "--json").out

    workshop.write(PIPELINE.format(site=site, more=", include: [nothing.png]"))
    said.append(workshop.lfvpipe("run", "--log-format", "json"))
    assert "0 images match" in said[-1].err

    web.answers = {"/good.zip": (403, {})}
    workshop.write(PIPELINE.format(site=site.replace("bob", "eve"), more=""))
    said += [workshop.lfvpipe("run"), workshop.lfvpipe("history"), workshop.lfvpipe("graph")]
    assert _leaks(workshop, said) == []


def test_a_manifest_with_a_bad_line_is_told_without_its_signature(
    workshop: Workshop, web: Any
) -> None:
    web.files["/train.manifest"] = b'{"source-ref": 3}\n'
    address = web.url.replace("http://", "http://bob:hunter2@") + "/train.manifest?sig=SECRETSIG"
    workshop.write(f'sources: {{manifest: {{train: "{address}"}}}}\n')
    said = workshop.lfvpipe("run", "--log-format", "json")
    assert "train.manifest?…:1: source-ref must be a text" in said.err
    assert _leaks(workshop, [said]) == []
