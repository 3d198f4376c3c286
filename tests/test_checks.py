"""Before a commit, in `make lint` and in CI the same checks run, and `make help` names every target."""

import re
import subprocess
from pathlib import Path

import yaml

# How a hook differs from the check: it mends what it can, and is handed the files of the commit.
FOR_COMMITS = {"--fix", "--force-exclude", "--check", "."}


def commands(lines: list[str]) -> set[tuple[str, ...]]:
    words = (line.replace("$(BIN)/", ".venv/bin/").split() for line in lines)
    return {tuple(word for word in line if word not in FOR_COMMITS) for line in words}


def recipe(target: str, makefile: str) -> list[str]:
    found = re.search(rf"^{target}:.*\n((?:\t.*\n)+)", makefile, re.MULTILINE)
    assert found is not None
    return found[1].splitlines()


def test_a_commit_is_checked_as_ci_checks(repository: Path) -> None:
    hooks = yaml.safe_load((repository / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"][0]["hooks"]
    makefile = (repository / "Makefile").read_text(encoding="utf-8")
    assert commands([hook["entry"] for hook in hooks]) == commands(recipe("lint", makefile))
    assert re.search(r"^test: lint$", makefile, re.MULTILINE)
    assert "make test" in (repository / ".ci" / "run").read_text(encoding="utf-8").splitlines()


def test_help_names_every_target(repository: Path) -> None:
    makefile = (repository / "Makefile").read_text(encoding="utf-8")
    phony = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    assert phony is not None
    reported = subprocess.run(["make", "help"], cwd=repository, capture_output=True, text=True, check=True).stdout
    assert set(re.findall(r"^make (\w+) ", reported, re.MULTILINE)) == set(phony[1].split()) - {"help"}
