"""What is secret in an address given with --set is not told, whatever its scheme."""

from pathlib import Path

import pytest

from lfvpipe.config import ConfigError, load


@pytest.mark.parametrize(
    "address",
    [
        "ftp://bob:SECRET@host/x.zip?k=SECRET",
        "https:/bob:SECRET@host/x.zip?k=SECRET",
        "s3://host/x.zip?X-Amz-Signature=SECRET",
        "s3://KEY:SECRET@host/x.zip?AWSAccessKeyId=KEY&Signature=SECRET",
    ],
)
def test_a_refused_address_is_told_without_its_secrets(tmp_path: Path, address: str) -> None:
    file = tmp_path / "p.yaml"
    file.write_text("name: x\n")
    with pytest.raises(ConfigError) as caught:
        load(file, overrides=(f"sources.normal.archive={address}",))
    assert "host/x.zip?…" in str(caught.value)
    assert "SECRET" not in str(caught.value)


@pytest.mark.parametrize("place", ["s3://host/x.zip?X-Amz-Signature=SECRET", "s3://A:SECRET@b/x"])
def test_a_refused_address_of_a_file_is_told_without_its_secrets(
    tmp_path: Path, place: str
) -> None:
    file = tmp_path / "p.yaml"
    file.write_text(f"name: x\nsources: {{normal: {{archive: '{place}'}}}}\n")
    with pytest.raises(ConfigError) as caught:
        load(file)
    assert "s3:// address" in str(caught.value)
    assert "SECRET" not in str(caught.value) + (caught.value.hint or "")
