"""The notebooks run from top to bottom, and what is committed is what they show.

`tools/run_notebooks.py` makes what is committed.
"""

import json
import re
from itertools import groupby
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))
LARGEST = 600_000  # bytes: GitHub shows no larger pages well, and every clone has them
FOLDER_OF_A_MACHINE = re.compile(r"(?<![\w.])/(?:home|root|tmp|Users|work)/|[A-Z]:\\\\")
PICTURE = re.compile(r"[\w+/=]{200,}")


def code_cells(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def kinds_of_output(cell: nbformat.NotebookNode) -> list[str]:
    """What a reader sees; a library's remark on stderr, such as on its cache, comes and goes.

    What is printed in one go may reach the notebook in several pieces.
    """
    kinds = [output.output_type for output in cell.outputs if output.get("name") != "stderr"]
    return [kind for kind, _ in groupby(kinds)]


def test_there_are_notebooks() -> None:
    assert NOTEBOOKS


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_says_first_what_it_shows_and_who_needs_it(path: Path) -> None:
    first = nbformat.read(path, as_version=4).cells[0]
    assert first.cell_type == "markdown"
    title, *rest = first.source.split("\n\n")
    assert title.startswith("# ")
    begins = [re.match(r"\*\*(.+?):\*\*", paragraph) for paragraph in rest[:3]]
    assert [found and found[1] for found in begins] == ["What it shows", "Who needs it", "Install"]
    assert "`pip install " in rest[2]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_committed_notebook_is_small_and_names_no_folder_of_a_machine(path: Path) -> None:
    assert path.stat().st_size <= LARGEST
    shown = [output for cell in code_cells(nbformat.read(path, as_version=4)) for output in cell.outputs]
    assert FOLDER_OF_A_MACHINE.findall(PICTURE.sub("", json.dumps(shown))) == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_committed_notebook_was_executed_in_order(path: Path) -> None:
    cells = code_cells(nbformat.read(path, as_version=4))
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell.outputs]
    assert "error" not in {output.output_type for output in outputs}
    assert "stderr" not in {output.get("name") for output in outputs}
    assert any("image/png" in output.get("data", {}) for output in outputs)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_notebook_runs(path: Path, tmp_path: Path) -> None:
    committed = nbformat.read(path, as_version=4)
    executed = nbformat.from_dict(committed)
    NotebookClient(executed, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    # The same kinds of output in the same cells: numbers may differ in the last digit between machines.
    for before, after in zip(code_cells(committed), code_cells(executed), strict=True):
        assert kinds_of_output(after) == kinds_of_output(before)
