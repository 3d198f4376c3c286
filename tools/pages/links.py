"""Links of files that are not written for the site: to its pages where there is one, else to the repository."""

import re

REPOSITORY = "https://github.com/napari-unetseg/napari-unetseg/blob/main/"
_ELSEWHERE = re.compile(r"\]\((?:\.\./)?((?:[A-Z]+\.md|(?:src|tests|benchmarks|deploy|findings)/)[^)]*)\)")
_NOTEBOOK = re.compile(r"\]\((?:\.\./)?(?:notebooks/)?(\d\d-[\w-]+)\.ipynb")


def linked_on_site(text: str) -> str:
    """Return the text of a page with links to files of the repository as the site needs them."""
    for place in (f"{REPOSITORY}docs/", "../docs/", "docs/"):
        text = text.replace(f"]({place}", "](")
    return _ELSEWHERE.sub(rf"]({REPOSITORY}\1)", _NOTEBOOK.sub(r"](notebook-\1.md", text))
