"""Links of files that are not written for the site: to its pages where there is one, else to the repository."""

import re

REPOSITORY = "https://github.com/napari-unetseg/napari-unetseg/blob/main/"


def linked_on_site(text: str) -> str:
    """Return the text of a page with links to files of the repository as the site needs them."""
    text = text.replace(f"]({REPOSITORY}docs/", "](").replace("](../docs/", "](").replace("](docs/", "](")
    text = re.sub(r"\]\((?:\.\./)?(?:notebooks/)?(\d\d-[\w-]+)\.ipynb", r"](notebook-\1.md", text)
    return re.sub(
        r"\]\((?:\.\./)?((?:[A-Z]+\.md|src/|tests/|benchmarks/|deploy/|findings/)[^)]*)\)", rf"]({REPOSITORY}\1)", text
    )
