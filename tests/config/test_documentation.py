import re

import pytest

from napari_unetseg.config import Settings
from napari_unetseg.config.keys import dotted, fields
from napari_unetseg.config.loading import load_settings
from napari_unetseg.config.template import as_yaml

KEYS = [(key, field) for key, field in fields(Settings)]


@pytest.fixture(scope="module")
def page(repository):
    return (repository / "docs" / "configuration.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def rows(page):
    """Default of every key in the page's tables."""
    found = {}
    for heading, section in re.findall(r"^### `([a-z.]+)`$(.*?)(?=^###|\Z)", page, re.MULTILINE | re.DOTALL):
        for key, default in re.findall(r"^\| `(\w+)` \| (.*?) \|", section, re.MULTILINE):
            found[f"{heading}.{key}"] = default.strip("`")
    return found


def test_the_page_has_a_row_for_every_key_and_for_no_other(rows):
    assert list(rows) == [dotted(key) for key, _ in KEYS]


def test_the_page_states_the_defaults(rows):
    stated = {dotted(key): as_yaml(field.get_default()) for key, field in KEYS}
    stated |= dict.fromkeys(("development.debug_output_dir", "server.jobs_dir"), "your state folder")
    assert rows == stated


def test_the_file_on_the_page_loads(page, write):
    (text,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    assert load_settings(write(text)).settings.unet.inference.batch_size == 8
