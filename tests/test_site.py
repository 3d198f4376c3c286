"""The site: it is built as `make docs` does, strictly, and what its pages lead to is there."""

import html
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
import typer
import yaml

from napari_unetseg.cli.main import app
from napari_unetseg.config.keys import dotted, fields
from napari_unetseg.config.settings import Settings
from napari_unetseg.zoo.cross_validated import main_scores

ROOT = Path(__file__).parents[1]
ADDRESS = yaml.load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"), yaml.BaseLoader)["site_url"]
LINK = re.compile(r'<(a|img|script|link|source|video|iframe)\b[^>]*?\b(?:href|src)=(?:"([^"]*)"|([^\s>"]+))')
ANCHOR = re.compile(r'\b(?:id|name)=(?:"([^"]+)"|([^\s>"]+))')


class Site:
    """The pages of a site by name, with what each names and leads to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.pages = {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.html")}
        self.anchors = {name: {"".join(found) for found in ANCHOR.findall(text)} for name, text in self.pages.items()}

    def lacks(self, target: str, page: str = "index.html") -> bool:
        """Whether a link of a page leads to no file of the site, or to no anchor of a page."""
        place = urlsplit(target)
        name = unquote(place.path) or page
        if name not in self.pages:
            return not (self.folder / name.lstrip("/")).exists()
        return bool(place.fragment) and unquote(place.fragment) not in self.anchors[name]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    folder = tmp_path_factory.mktemp("site")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", folder],
        cwd=ROOT,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stdout + built.stderr
    return Site(folder)


def commands(above: Any, name: str = "napari-unetseg") -> Iterator[tuple[str, Any]]:
    """Each command with the anchor that it has on the page, however deep it is."""
    inner = getattr(above, "commands", {})
    yield from [] if inner else [(name, above)]
    for word, each in inner.items():
        yield from commands(each, f"{name}-{word}")


def test_links_and_pictures_lead_to_what_is_there(site: Site) -> None:
    found = {(page, kind, "".join(target)) for page, text in site.pages.items() for kind, *target in LINK.findall(text)}
    inside = {each for each in found if not urlsplit(each[2]).scheme and each[0] != "404.html"}
    outside = {each for each in found if urlsplit(each[2]).netloc}
    assert len(inside) > 1000
    assert sorted((page, target) for page, _, target in inside if site.lacks(target, page)) == []
    # What a page is made of is the site's own, so that it can be read without a network.
    assert sorted(each for each in outside if each[1] not in ("a", "link")) == []
    assert not [page for page, text in site.pages.items() if re.search(r'rel="?stylesheet"?[^>]*href="?https?:', text)]
    # The theme's script asks GitHub about the repository where it finds this.
    assert not [page for page, text in site.pages.items() if 'data-md-component="source"' in text]


def test_what_belongs_to_a_list_is_indented_as_the_site_wants() -> None:
    # Python-Markdown wants four spaces a level. Else the list ends or is flat, code is prose, and no word is said.
    pages = [ROOT / "CHANGELOG.md", *(ROOT / "docs").glob("*.md")]
    texts = {page.name: re.sub(r"^ *```.*?^ *```", "", page.read_text("utf-8"), flags=re.M | re.S) for page in pages}
    astray = re.compile(r"^ {1,3}(?:[-*+]|\d+\.) |\n\n(?: {1,3}| {5,7})(?! ).", re.M)
    assert {name: found[0] for name, text in texts.items() if (found := astray.search(text))} == {}


def test_links_to_the_site_from_elsewhere_lead_to_pages_and_anchors(site: Site) -> None:
    files = [*ROOT.glob("*.md"), *ROOT.glob("*.toml"), *ROOT.glob("*.cff"), *(ROOT / "src").rglob("*.py")]
    texts = [path.read_text(encoding="utf-8") for path in files]
    named = {target for text in texts for target in re.findall(re.escape(ADDRESS) + r"([\w.#-]*)", text)}
    assert sorted(target for target in named if site.lacks(target.rstrip("."))) == []


def test_the_reference_pages_hold_what_there_is(site: Site) -> None:
    sections = re.split(r'<h[23] id="([\w-]+)"', site.pages["commands.html"])
    told = dict(zip(sections[1::2], sections[2::2], strict=True))
    for name, command in commands(typer.main.get_command(app)):
        words = [word for each in command.params if not each.hidden for word in (*each.opts, *each.secondary_opts)]
        assert sorted(word for word in words if word.startswith("--") and word not in told[name]) == []
    assert {dotted(key) for key, _ in fields(Settings)} <= site.anchors["settings.html"]
    assert "UNET_INFERENCE_BATCH_SIZE" in site.pages["settings.html"]
    document = json.loads((site.folder / "openapi.json").read_text(encoding="utf-8"))
    routes = {f"{method.upper()} {path}<" for path, methods in document["paths"].items() for method in methods}
    assert sorted(route for route in routes if route not in site.pages["http-api.html"]) == []
    assert "napari_unetseg.SegmentationService.segment" in site.anchors["python-api.html"]
    # Which the source of these functions does not name.
    assert all("min_confidence" in site.pages[f"python-{name}.html"] for name in ("api", "napari"))


def test_models_notebooks_and_findings_have_their_pages(site: Site) -> None:
    for path in (ROOT / "src" / "napari_unetseg" / "models").glob("*/model.yaml"):
        card = yaml.safe_load(path.read_text(encoding="utf-8"))
        page = site.pages[f"model-{card['name']}.html"]
        assert card["weights"]["sha256"] in page
        assert {"limits", "scores", "cite-it"} <= site.anchors[f"model-{card['name']}.html"]
        plain = re.sub("<[^>]+>", "", html.unescape(page)).lower()
        stated = {name: f"{value:g}" if isinstance(value, float) else value for name, value in card.items()}
        words = {name: value.replace("_", " ").lower() for name, value in stated.items() if isinstance(value, str)}
        assert [name for name, value in words.items() if value not in plain] == []
        measured = main_scores(card["scores"]).items()
        assert {
            name for name, figure in measured if isinstance(figure, float) and f">{figure:.2f}<" not in page
        } == set()
    notebooks = {f"notebook-{path.stem}.html" for path in (ROOT / "notebooks").glob("*.ipynb")}
    assert sorted(name for name in notebooks if name not in site.pages["notebooks.html"]) == []
    assert {path.stem for path in (ROOT / "findings").glob("*.sh")} <= site.anchors["findings.html"]
    newest = re.search(r"^## \[([\w.]+)\]", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert newest is not None
    assert newest[1] in site.pages["changes.html"]


def test_what_is_not_there_is_found_out(site: Site) -> None:
    assert not site.lacks("commands.html#napari-unetseg-segment")
    assert site.lacks("commands.html#nothing")
    assert site.lacks("nothing.html")
