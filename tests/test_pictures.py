"""The pages with pictures show what is there, and the commands of the gallery can be given as they stand."""

import re
import shlex
from pathlib import Path

import pytest
import typer
from PIL import Image

from napari_unetseg.cli.main import app

PAGES = {"first-steps.md": "steps", "gallery.md": "gallery"}


@pytest.mark.parametrize("page", PAGES)
def test_a_page_shows_all_of_its_pictures_and_says_what_is_on_them(page: str, repository: Path) -> None:
    shown = re.findall(r"!\[(.*?)\]\(images/(.*?)\)", (repository / "docs" / page).read_text(encoding="utf-8"))
    made = {path.name for path in (repository / "docs" / "images").glob(f"{PAGES[page]}-*")}
    assert {name for _, name in shown} == made
    assert all(len(words) > 10 for words, _ in shown)


def test_the_commands_of_the_gallery_are_understood(repository: Path) -> None:
    page = (repository / "docs" / "gallery.md").read_text(encoding="utf-8")
    lines = [shlex.split(line)[1:] for line in re.findall(r"^    (napari-unetseg .*)$", page, re.MULTILINE)]
    assert len(lines) >= page.count("![")
    commands = typer.main.get_command(app).commands
    for name, *words in lines:
        command = commands[name]
        parser = command.make_parser(typer.Context(command))
        parser.parse_args(list(words))


def test_the_film_of_the_readme_is_small_and_goes_round(repository: Path) -> None:
    path = repository / "docs" / "images" / "run.gif"
    assert path.stat().st_size <= 2_500_000
    with Image.open(path) as film:
        assert film.info["loop"] == 0
        assert film.width >= 900
        assert film.n_frames > 50
