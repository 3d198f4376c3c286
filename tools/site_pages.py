"""Pages of the site that are made from what they describe, when it is built and never before: a hook of mkdocs.

Cards of the models, commands, settings, routes, notebooks, changes and findings are read where they are defined, so
that no page of them can be out of date. `pages` has a module for each.
"""

from collections.abc import Iterator
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from pages.command_reference import command_page
from pages.finding_table import finding_page
from pages.http_reference import http_pages
from pages.links import linked_on_site
from pages.model_cards import card_pages
from pages.notebook_pages import notebook_pages
from pages.setting_reference import setting_page

ROOT = Path(__file__).parents[1]
# Long lists have every word in them; what tells how to do a thing comes first in the search.
_BOOSTS = {"changes.md": 0.1, "findings.md": 0.1, "http-api.md": 0.3, "settings.md": 0.5, "commands.md": 0.5}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages; what the navigation leaves out ends a strict build."""
    for name, content in _pages():
        if name in _BOOSTS and isinstance(content, str):
            content = f"---\nsearch: {{ boost: {_BOOSTS[name]} }}\n---\n\n{content}"
        files.append(File.generated(config, name, content=content))
    return files


def on_post_page(output: str, **_: object) -> str:
    """Take away the mark by which the theme's script asks GitHub for stars and releases: pages fetch nothing."""
    return output.replace(' data-md-component="source"', "")


def on_post_template(output_content: str, **_: object) -> str:
    """Do the same with the page of what is not found, which mkdocs makes from a template."""
    return on_post_page(output_content)


def _pages() -> Iterator[tuple[str, str | bytes]]:
    yield from card_pages(ROOT / "src" / "napari_unetseg" / "models")
    yield "commands.md", command_page()
    yield "settings.md", setting_page()
    yield from http_pages()
    yield from notebook_pages(ROOT / "notebooks")
    yield "findings.md", finding_page(ROOT / "findings")
    yield "changes.md", linked_on_site((ROOT / "CHANGELOG.md").read_text(encoding="utf-8"))
