"""Settings files: what they say, and where they are wrong."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from safecall_lint.settings import Lookup, Settings, SettingsError, options
from safecall_lint.settings.describe import schema, show
from tests.cases import write

EVERY_KEY = """\
select = ["bad-call", "SCL2"]
extend-select = ["ALL"]
ignore = ["SCL201"]
profile = "strict"
per-file-ignores = {"scripts/*.py" = ["SCL1"], "x.py" = ["slow-call"]}
exclude = ["gen/"]
tests = "all"
target-version = "3.12"
runtime-module = "app.vendored"
cache-dir = ".caches/safecall"
deployment = "multi"
clients = ["app.http.get_client"]
gates = ["app.gates.slots"]
limiters = ["app.gates.rate"]
retries = ["app.again"]
blocking = ["app.db.run"]
"""


def settings_of(folder: Path) -> Settings:
    return Lookup().of(folder)


def test_every_setting_can_be_set_and_is_shown_as_it_was_written(here: Path) -> None:
    write(here, {"safecall-lint.toml": EVERY_KEY})
    shown = show(settings_of(here))
    assert {line.partition(" =")[0] for line in EVERY_KEY.splitlines()} == set(options())
    assert [line for line in shown.splitlines() if not line.startswith("#")] == EVERY_KEY.splitlines()


def test_what_is_shown_can_be_read_back(here: Path) -> None:
    write(here, {"safecall-lint.toml": EVERY_KEY})
    before = settings_of(here)
    write(here, {"safecall-lint.toml": show(before)})
    assert settings_of(here) == before


def test_the_schema_accepts_every_setting_and_nothing_else(here: Path) -> None:
    import tomllib

    jsonschema.Draft7Validator.check_schema(schema())
    jsonschema.validate(tomllib.loads(EVERY_KEY), schema())
    for key, value in [("selekt", "x"), ("profile", "loud"), ("target-version", "2.7"), ("clients", "app")]:
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({key: value}, schema())


def test_defaults_fit_the_schema() -> None:
    properties = schema()["properties"]
    assert isinstance(properties, dict)
    jsonschema.validate({key: one["default"] for key, one in properties.items() if "default" in one}, schema())
    assert json.dumps(schema())


def test_a_pyproject_without_our_table_is_passed_over(here: Path) -> None:
    write(here, {"pyproject.toml": '[project]\ndependencies = ["safecall-lint"]\n[tool.other]\nselekt = 1\n'})
    assert settings_of(here) == Settings(root=here)


def test_the_oldest_python_comes_from_the_project(here: Path) -> None:
    write(here, {"pyproject.toml": '[project]\nrequires-python = ">=3.11,<4"\n[tool.safecall-lint]\n'})
    assert settings_of(here).target_version == (3, 11)


@pytest.mark.parametrize(
    ("text", "line", "message", "near"),
    [
        ("\nselekt = []\n", 4, "there is no setting `selekt`", "select"),
        (
            "select = [\n  'bad-call',\n  'bad-cal',\n]\n",
            5,
            'no rule has the name, code or prefix "bad-cal"',
            "bad-call",
        ),
        ("profile = 'strikt'\n", 3, "'strikt' is none of", "strict"),
        ("tests = true\n", 3, "True is none of", None),
        ("exclude = 'x'\n", 3, "'x' is not a list of strings", None),
        ("clients = ['app.', 'x']\n", 3, "'app.' is not a dotted name", None),
        ("target-version = 3.11\n", 3, "3.11 is not a version", None),
        ("per-file-ignores = ['x']\n", 3, "is not a table of pattern to rules", None),
        ("\n[tool.safecall-lint.per-file-ignores]\n'x.py' = ['SCL1']\n'y.py' = ['SCL8']\n", 6, '"SCL8"', "SCL902"),
        ("select = [\n", 4, "the file is not valid TOML", None),
        ("a = 1\na = 2\n", 4, "not valid TOML", None),
    ],
)
def test_a_mistake_is_named_with_its_line_and_the_nearest_valid_word(
    text: str, line: int, message: str, near: str | None, here: Path
) -> None:
    write(here, {"pyproject.toml": f"[project]\n[tool.safecall-lint]\n{text}"})
    with pytest.raises(SettingsError) as caught:
        settings_of(here)
    assert message in caught.value.message
    assert (caught.value.line, caught.value.path.name) == (line, "pyproject.toml")
    assert near is None or caught.value.near == near


def test_a_file_that_is_no_text_is_a_mistake_too(here: Path) -> None:
    (here / "safecall-lint.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(SettingsError, match="UTF-8"):
        settings_of(here)
