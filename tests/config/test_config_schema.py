import json
import subprocess
import sys
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from lfvpipe.config import schema
from lfvpipe.config.reference import reference

KEYS = list(schema.all_keys())


def _schemas(part: object) -> list[dict[str, object]]:
    if isinstance(part, list):
        return [found for below in part for found in _schemas(below)]
    if not isinstance(part, dict):
        return []
    here = [part] if "properties" in part or "type" in part else []
    return here + [found for below in part.values() for found in _schemas(below)]


def test_the_schema_is_a_valid_one() -> None:
    loaded = schema.load_schema("pipeline")
    assert loaded["$schema"] == Draft202012Validator.META_SCHEMA["$id"]
    Draft202012Validator.check_schema(loaded)
    assert loaded["required"] == ["sources"]


def test_no_mapping_takes_keys_that_it_does_not_name() -> None:
    for part in _schemas(schema.load_schema("pipeline")):
        if "properties" in part:
            assert part["additionalProperties"] is False, part


@pytest.mark.parametrize("where", KEYS, ids=".".join)
def test_every_key_says_what_it_is_and_its_examples_are_valid(where: tuple[str, ...]) -> None:
    part = schema.at(where)
    assert part is not None
    assert part["title"]
    assert str(part["description"]).endswith(".")
    assert part["examples"]
    assert ("pattern" in part) == ("patternErrorMessage" in part)
    root = {**part, "$defs": schema.load_schema("pipeline")["$defs"]}
    validator = Draft202012Validator({key: root[key] for key in root if key != "$ref"})
    for example in part["examples"]:
        validator.validate(example)
    required = where[-1] in (schema.at(where[:-1]) or {}).get("required", ())
    if not required:
        validator.validate(part["default"])
        validator.validate(None)


def test_the_reference_names_every_key_once_and_its_default() -> None:
    text = reference()
    tables = text.split("#### ")
    assert '| `region` | text | `"us-east-1"` |' in tables[0]
    sample = next(table for table in tables if table.startswith("`sample`"))
    assert "| `percent` | number | `100` |" in sample
    for where in KEYS:
        assert f"`{where[-1]}`" in text or f".{where[-1]}`" in text, where
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    assert all(line.replace("\\|", "").count("|") == 5 for line in rows)


def test_schemas_are_found_in_an_installed_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "site" / "lfvpipe"
    (package / "_schemas").mkdir(parents=True)
    (package / "_schemas" / "run.schema.json").write_text(json.dumps({"title": "installed"}))
    monkeypatch.setattr(schema, "_PACKAGE", package)
    assert schema.load_schema.__wrapped__("run") == {"title": "installed"}


def test_loading_what_is_known_to_be_valid_imports_nothing_heavy(tmp_path: Path, good: str) -> None:
    path = tmp_path / "line-7.yaml"
    path.write_text(good, encoding="utf-8")
    code = (
        "import sys; from pathlib import Path; from lfvpipe import config\n"
        "assert 'yaml' not in sys.modules\n"
        f"config.load(Path({str(path)!r}), is_known_valid=lambda digest: True)\n"
        "heavy = {'jsonschema', 'referencing', 'difflib', 'importlib.resources', 'boto3'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    root = str(Path(schema.__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
