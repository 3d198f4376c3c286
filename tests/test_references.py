"""What the documentation, the notebooks and the benchmarks name is there: modules, what they import, and files."""

import ast
import importlib
import inspect
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [
    *(ROOT / name for name in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md")),
    ROOT / "tests" / "README.md",
    *sorted(ROOT.glob("docs/*.md")),
]
NOTEBOOKS = sorted(ROOT.glob("notebooks/*.ipynb"))
ROOMS = sorted((ROOT / "src" / "napari_unetseg").glob("*/**/__init__.py"))
SCRIPTS = sorted(ROOT.glob("benchmarks/*.py"))

DOTTED = re.compile(r"(?<![\w/.-])napari_unetseg(?:\.[A-Za-z_]\w*)+")
IMPORT = re.compile(r"^\s*from (napari_unetseg[\w.]*) import \(?([^()#\n]+)", re.MULTILINE)
EXAMPLE = re.compile(r"From `(tests/[\w/.]+)`:\n\n```python\n(.*?)```", re.DOTALL)
FILE = re.compile(r"(?<![\w/.-])(?:benchmarks|docs|notebooks|src|tests|\.ci)/[\w./-]*\w")


def text_of(path: Path) -> str:
    """What a reader sees of a page; of a notebook, its cells."""
    content = path.read_text(encoding="utf-8")
    if path.suffix != ".ipynb":
        return content
    return "\n".join("".join(cell["source"]) for cell in json.loads(content)["cells"])


def resolves(dotted: str) -> bool:
    """Whether a dotted name is a module, or what is reached in one by attributes."""
    parts = dotted.split(".")
    for end in range(len(parts), 0, -1):
        try:
            found: object = importlib.import_module(".".join(parts[:end]))
        except ModuleNotFoundError:
            continue
        for name in parts[end:]:
            if not hasattr(found, name):
                return False
            found = getattr(found, name)
        return True
    return False


def imported_by(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("napari_unetseg"):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_what_is_not_there_is_found_out() -> None:
    assert resolves("napari_unetseg.io.read_image")
    assert not resolves("napari_unetseg.io.read_nothing")
    assert not resolves("napari_unetseg.nowhere.read_image")


@pytest.mark.parametrize("path", [*PAGES, *NOTEBOOKS], ids=lambda path: str(path.relative_to(ROOT)))
def test_a_page_names_what_is_there(path: Path) -> None:
    text = text_of(path)
    names = set(DOTTED.findall(text))
    names |= {
        f"{module}.{name.strip()}"
        for module, listed in IMPORT.findall(text)
        for name in listed.split(",")
        if name.strip()
    }
    assert sorted(name for name in names if not resolves(name)) == []
    assert sorted(file for file in set(FILE.findall(text)) if not (ROOT / file).exists()) == []


def test_the_document_of_the_rooms_names_each_of_them_and_files_that_are_there() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    package = ROOT / "src" / "napari_unetseg"
    rooms = {folder.parent.name for folder in package.glob("**/__init__.py") if folder.parent != package}
    named = {room.rstrip("/").split("/")[-1] for room in re.findall(r"`([\w/]+/)`", text)}
    assert rooms - named == set()
    files = re.findall(r"`(\w[\w/]*\.py)`", text)
    assert sorted(file for file in files if not ((package / file).exists() or (ROOT / file).exists())) == []
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in package.rglob("*.py")}
    known = rooms | {path.stem for path in trees} | {package.name, "split", "models"}
    known |= {entry.name.removesuffix(".yml") for entry in ROOT.iterdir()}
    known |= {
        node.name
        for tree in trees.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
    }
    words = set(re.findall(r"`(?:[A-Za-z]\w*[./])*([A-Za-z]\w*)/?`", re.sub(r"`[\w/]+\.\w+`", "", text)))
    assert words - known == set()


@pytest.mark.parametrize("path", ROOMS, ids=lambda path: path.parent.name)
def test_what_a_room_says_of_its_modules_names_them(path: Path) -> None:
    own = {module.stem for module in path.parent.rglob("*.py")} | {folder.name for folder in path.parent.iterdir()}
    rooms = {room.parent.name for room in ROOMS}
    defined = {
        node.name
        for module in path.parent.glob("*.py")
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
    }
    named = re.findall(
        r"`([a-z]\w*)(?:\.(?!yaml)\w+)?`", ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    )
    assert set(named) - own - rooms - defined == set()


@pytest.mark.parametrize("path", [*PAGES, *NOTEBOOKS], ids=lambda path: str(path.relative_to(ROOT)))
def test_examples_call_functions_with_arguments_that_they_have(path: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", text_of(path), re.DOTALL)
    for block in blocks:
        tree = ast.parse(block)
        homes = {
            alias.name: node.module
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("napari_unetseg")
            for alias in node.names
        }
        for call in ast.walk(tree):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in homes:
                function = getattr(importlib.import_module(str(homes[call.func.id])), call.func.id)
                inspect.signature(function).bind(
                    *([None] * len(call.args)), **{word.arg: None for word in call.keywords if word.arg}
                )


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_a_benchmark_imports_what_is_there(path: Path) -> None:
    assert sorted(name for name in imported_by(path) if not resolves(name)) == []


def test_the_examples_of_how_to_test_are_tests() -> None:
    page = (ROOT / "tests" / "README.md").read_text(encoding="utf-8")
    examples = EXAMPLE.findall(page)
    assert len(examples) == page.count("```python") > 0
    for path, example in examples:
        assert f"\n\n\n{example}" in (ROOT / path).read_text(encoding="utf-8"), path
