"""Numbers on the pages about tiling and decoding are those of the code, and their drawings come from the script."""

import ast
import re
from itertools import pairwise
from pathlib import Path

import pytest

from napari_unetseg.inference.tiling.exact import round_up
from napari_unetseg.inference.tiling.plan import BANDED_TILE, TILE, facts_on
from napari_unetseg.postprocessing.merging import FRAGMENT, PEAK_HEIGHTS
from napari_unetseg.zoo.registry import bundled_model_folder, find_model

PAGES = ("how-tiling-works.md", "how-decoding-works.md")


@pytest.fixture(scope="module")
def docs(repository: Path) -> Path:
    return repository / "docs"


def rows(page: Path, begin: str) -> list[list[str]]:
    """The cells of the table whose heading begins so, without the heading."""
    lines = iter(page.read_text(encoding="utf-8").splitlines())
    for line in lines:
        if line.startswith(begin):
            break
    next(lines)
    table = []
    for line in lines:
        if not line.startswith("|"):
            break
        table.append([cell.strip() for cell in line.strip("|").split("|")])
    return table


def test_the_table_of_halos_is_what_models_have(docs: Path) -> None:
    stated = {
        row[0].strip("`"): [int(cell) for cell in row[1:]] for row in rows(docs / PAGES[0], "| model | receptive")
    }
    found = {}
    for folder in bundled_model_folder().iterdir():
        if (folder / "model.yaml").exists():
            facts = facts_on(find_model(folder).card, "torch", "cpu")
            assert facts.in_bands
            assert facts.receptive_radius is not None
            halo = round_up(facts.receptive_radius, facts.grid)
            found[folder.name] = [facts.receptive_radius, halo, facts.grid, BANDED_TILE + 2 * halo, TILE + 2 * halo]
    assert stated == found


def test_the_numbers_of_split_are_those_of_the_decoder(docs: Path) -> None:
    text = (docs / PAGES[1]).read_text(encoding="utf-8")
    stated = [(float(row[0]), row[1]) for row in rows(docs / PAGES[1], "| split |") if row[1]]
    assert len(stated) == 4
    for split, below in stated:
        number = re.match(r"[\d.]+", below)
        assert number is not None
        assert float(number[0]) == pytest.approx(split**0.5, abs=0.005)
    steps = [lower / upper for upper, lower in pairwise(PEAK_HEIGHTS)]
    assert steps == pytest.approx([0.9] * (len(PEAK_HEIGHTS) - 1))
    assert f"{len(PEAK_HEIGHTS)} steps, each 0.9 of the one before" in text
    assert f"Peaks lower than {PEAK_HEIGHTS[-1]:.2f} of the highest" in text
    assert f"an object below {FRAGMENT:g} of the typical size" in text


def test_each_drawing_is_shown_made_by_the_script_and_says_what_it_shows(docs: Path, repository: Path) -> None:
    shown = [
        found
        for page in PAGES
        for found in re.findall(r"!\[([^]]*)\]\(images/(how-[\w-]+)\.svg\)", (docs / page).read_text(encoding="utf-8"))
    ]
    assert all(len(words) > 40 for words, _ in shown)
    tree = ast.parse((repository / "tools" / "drawings.py").read_text(encoding="utf-8"))
    (made,) = (
        node.value for node in tree.body if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == "DRAWINGS"
    )
    assert isinstance(made, ast.Dict)
    names = {ast.literal_eval(key) for key in made.keys if key is not None}
    assert {name for _, name in shown} == names == {path.stem for path in (docs / "images").glob("how-*.svg")}
