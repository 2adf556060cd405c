from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from lfvpipe.config import ConfigError, Loaded, Problem, load

GOOD = "sources: {normal: {archive: good.zip}, anomaly: {archive: bad.zip}}\n"

Load = Callable[..., Loaded]
Problems = Callable[..., tuple[Problem, ...]]


@pytest.fixture
def load_text(tmp_path: Path) -> Load:
    """Load YAML text as the file `line-7.yaml`."""

    def loading(
        text: str | bytes,
        *overrides: str,
        env: Mapping[str, str] | None = None,
        **files: str,
    ) -> Loaded:
        path = tmp_path / "line-7.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        for name, content in files.items():
            (tmp_path / f"{name}.yaml").write_text(content, encoding="utf-8")
        return load(path, overrides=overrides, env=env or {})

    return loading


@pytest.fixture
def problems(load_text: Load) -> Problems:
    """Load YAML text that is wrong and return its problems."""

    def loading(text: str | bytes, *overrides: str, **more: object) -> tuple[Problem, ...]:
        with pytest.raises(ConfigError) as caught:
            load_text(text, *overrides, **more)
        return caught.value.problems

    return loading


@pytest.fixture
def good() -> str:
    return GOOD
