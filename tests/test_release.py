"""What a release is made of agrees with itself: workflows, forms, citation, conda recipe and the page of licences."""

import json
import re
import tomllib
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

import napari_unetseg

# Distributions that conda-forge has under another name; napari-base is napari without a window toolkit.
CONDA_NAMES = {"dask": "dask-core", "napari": "napari-base", "torch": "pytorch"}
WORKFLOWS = sorted(Path(__file__).parents[1].glob(".github/workflows/*.yml"))
SCHEMAS = {
    ".github/workflows/*.yml": "github-workflows",
    ".github/dependabot.yml": "dependabot",
    ".github/ISSUE_TEMPLATE/config.yml": "github-issue-config",
    ".github/ISSUE_TEMPLATE/[!c]*.yml": "github-issue-forms",
    "CITATION.cff": "citation-file-format",
}


class TextDates(yaml.SafeLoader):
    """Dates and `on` stay words, as JSON has neither dates nor YAML 1.1's idea of truth."""


TextDates.yaml_implicit_resolvers = {
    letter: [(tag, pattern) for tag, pattern in known if not tag.endswith((":timestamp", ":bool"))]
    for letter, known in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
TextDates.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("^(?:true|false)$"), list("tf"))


def read(path: Path) -> Any:
    return yaml.load(path.read_text(encoding="utf-8"), TextDates)


@pytest.fixture(scope="module")
def project(repository: Path) -> dict[str, Any]:
    content: dict[str, Any] = tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return content


@pytest.fixture(scope="module")
def citation(repository: Path) -> dict[str, Any]:
    content: dict[str, Any] = read(repository / "CITATION.cff")
    return content


@pytest.mark.parametrize("pattern", SCHEMAS)
def test_what_others_read_is_in_their_form(repository: Path, pattern: str) -> None:
    vendored = resources.files("check_jsonschema") / "builtin_schemas" / "vendor" / f"{SCHEMAS[pattern]}.json"
    schema = json.loads(vendored.read_text(encoding="utf-8"))
    validator = jsonschema.validators.validator_for(schema)(schema)
    files = list(repository.glob(pattern))
    assert files
    wrong = [
        f"{file.name}: {error.json_path}: {error.message}"
        for file in files
        for error in validator.iter_errors(read(file))
    ]
    assert wrong == []


def steps(workflow: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for job in workflow["jobs"].values():
        yield from job.get("steps", [job])


@pytest.fixture(params=WORKFLOWS, ids=lambda path: path.stem)
def workflow(request: pytest.FixtureRequest) -> dict[str, Any]:
    content: dict[str, Any] = read(request.param)
    return content


def test_actions_of_others_stay_within_a_major_version(workflow: dict[str, Any]) -> None:
    used = [step["uses"] for step in steps(workflow) if "uses" in step]
    assert used
    loose = [name for name in used if not re.search(r"@(v\d+(\.\d+)*|release/v\d+|[0-9a-f]{40})$|^\./", name)]
    assert loose == []


def test_workflows_use_one_version_of_an_action() -> None:
    used = {step["uses"] for path in WORKFLOWS for step in steps(read(path)) if "@" in step.get("uses", "")}
    names = [name.partition("@")[0] for name in used]
    assert sorted(name for name in used if names.count(name.partition("@")[0]) > 1) == []


def test_all_that_a_release_holds_is_signed(repository: Path) -> None:
    jobs = read(repository / ".github" / "workflows" / "publish.yml")["jobs"]
    signed = next(step["with"]["subject-path"] for step in jobs["attest"]["steps"] if "attest" in step.get("uses", ""))
    pattern = next(step["with"]["pattern"] for step in jobs["release"]["steps"] if "uses" in step)
    assert {f"{name}/*" for name in pattern.strip("{}").split(",")} == set(signed.split())


def test_workflows_may_read_and_jobs_say_what_they_may_beyond_it(workflow: dict[str, Any]) -> None:
    assert workflow["permissions"] in ({}, {"contents": "read"})
    for job in workflow["jobs"].values():
        granted = {name for name, level in job.get("permissions", {}).items() if level == "write"}
        assert granted <= {"attestations", "contents", "id-token", "pages"}
        assert len(granted) < 3


def test_scripts_that_workflows_run_are_there(workflow: dict[str, Any], repository: Path) -> None:
    named = {name for step in steps(workflow) for name in re.findall(r"(?<!\S)\.ci/[\w./-]+", step.get("run", ""))}
    assert [name for name in named if not (repository / name).is_file()] == []


def test_the_wheel_is_installed_on_every_python_it_promises(repository: Path, project: dict[str, Any]) -> None:
    wheel = read(repository / ".github" / "workflows" / "wheel.yml")
    tried = {entry["python"] for entry in wheel["jobs"]["install"]["strategy"]["matrix"]["include"]}
    promised = re.findall(r"Python :: (3\.\d+)", " ".join(project["classifiers"]))
    assert tried == set(promised)


def test_the_citation_is_of_this_version(citation: dict[str, Any], project: dict[str, Any]) -> None:
    assert citation["version"] == napari_unetseg.__version__
    assert citation["license"] == project["license"]
    assert citation["url"] == project["urls"]["Documentation"]
    assert citation["repository-code"] == project["urls"]["Source Code"]


def test_the_citation_has_the_date_of_the_changelog(citation: dict[str, Any], repository: Path) -> None:
    changelog = (repository / "CHANGELOG.md").read_text(encoding="utf-8")
    dated = dict(re.findall(r"^## \[([\d.]+)\] - ([\d-]+)$", changelog, re.MULTILINE))
    assert citation.get("date-released") == dated.get(napari_unetseg.__version__)


def conda_requirements(requirements: list[str]) -> set[str]:
    found = (re.match(r"([\w-]+)(?:\[\w+\])?(>=[\w.]+)", requirement) for requirement in requirements)
    return {f"{CONDA_NAMES.get(match[1], match[1])} {match[2]}" for match in found if match is not None}


def test_the_conda_recipe_asks_for_what_the_package_does(repository: Path, project: dict[str, Any]) -> None:
    recipe = read(repository / "conda" / "recipe.yaml")
    assert recipe["context"]["version"] == napari_unetseg.__version__
    assert f">={recipe['context']['python_min']}" == project["requires-python"]
    asked = set(recipe["requirements"]["run"]) - {"python >=${{ python_min }}"}
    assert asked == conda_requirements(project["dependencies"])
    assert len(asked) == len(project["dependencies"])
    scripts = [f"{name} = {target}" for name, target in project["scripts"].items()]
    assert recipe["build"]["python"]["entry_points"] == scripts


@pytest.mark.parametrize("model", ["nuclei", "cells", "spheroids", "nails"])
def test_the_page_of_licences_says_what_the_card_says(repository: Path, model: str) -> None:
    card = yaml.safe_load((repository / "models" / model / "model.yaml").read_text(encoding="utf-8"))
    page = (repository / "docs" / "licences.md").read_text(encoding="utf-8")
    assert f"| `models/{model}/{card['weights']['file']}` | {card['licence']} | `{card['weights']['sha256']}` |" in page
    for data in card["training_data"]:
        columns = (card["display_name"], data["name"], data["images"], data["licence"], data["citation"])
        assert f"| {' | '.join(map(str, columns))} |" in page


def test_the_page_of_licences_knows_all_bundled_models(repository: Path) -> None:
    page = (repository / "docs" / "licences.md").read_text(encoding="utf-8")
    bundled = {card.parent.name for card in (repository / "src/napari_unetseg/models").glob("*/model.yaml")}
    assert set(re.findall(r"`models/(\w+)/", page)) == bundled
