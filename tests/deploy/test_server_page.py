"""The examples of docs/server.md, run against a server, and what the page says of files and options."""

import json
import re
import shlex
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import yaml
from PIL import Image as PillowImage
from pylibCZIrw import czi

from napari_unetseg.config.settings import ServerSettings

ADDRESSES = ("http://localhost:8001", "http://lab:8001")


@pytest.fixture(scope="session")
def page(repository: Path) -> str:
    return (repository / "docs" / "server.md").read_text(encoding="utf-8")


def examples(page: str) -> list[str]:
    """Python blocks and curl commands, in their order."""
    found = re.finditer(r"```python\n(?P<python>[\s\S]*?)```|^    (?P<curl>curl (?:.*\\\n)*.*)$", page, re.MULTILINE)
    return [match["python"] or match["curl"] for match in found]


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_examples_run_one_after_the_other(
    page: str, server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    image = np.zeros((96, 128), np.uint8)
    image[10:30, 10:40] = image[50:70, 60:90] = 220
    PillowImage.fromarray(image).save("image.png")
    tifffile.imwrite("image.tif", 257 * image.astype(np.uint16))
    with czi.create_czi("cells.czi") as file:
        for scene in range(2):
            file.write(image[..., None], scene=scene, location=(200 * scene, 0))
    names: dict[str, Any] = {"image": image}
    blocks = examples(page)
    assert len(blocks) >= 9
    for block in blocks:
        for address in ADDRESSES:
            block = block.replace(address, server.url)
        if block.startswith("curl "):
            line = shlex.split(block.replace("\\\n", " "))
            subprocess.run(line, check=True, capture_output=True, timeout=60)
        else:
            exec(compile(block, "docs/server.md", "exec"), names)
    assert names["result"].status_code == 200
    assert "2 objects" in capsys.readouterr().out
    assert np.asarray(PillowImage.open("mask.png")).max() == 255
    assert tifffile.imread("labels.tif").max() == 2
    assert len(json.loads(Path("outlines.geojson").read_text())["features"]) == 2
    assert len(json.loads(Path("result.json").read_text())["mask_data"]) > 0


def test_keys_of_the_settings_and_their_defaults_are_as_told(page: str) -> None:
    table = page.partition("## Limits")[2].partition("## ")[0]
    told = re.findall(r"^\| (`[\w`, ]+) \| ([\w, ]+) \|", table, re.MULTILINE)
    defaults = {name: field.default for name, field in ServerSettings.model_fields.items()}
    assert len(told) >= 7
    for names, values in told:
        for name, value in zip(re.findall(r"\w+", names), values.split(", "), strict=True):
            assert defaults[name] == (None if value == "none" else float(value)), name
    assert set(re.findall(r"`server\.(\w+)", page)) <= set(defaults)


def test_extras_files_and_the_target_of_serve_run_are_there(page: str, repository: Path) -> None:
    extras = tomllib.loads((repository / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert set(re.findall(r'"napari-unetseg\[(\w+)\]"', page)) <= set(extras)
    assert [name for name in re.findall(r"deploy/[\w./-]+\w", page) if not (repository / name).exists()] == []
    ray = next(block for block in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL) if "import_path" in block)
    (application,) = yaml.safe_load(ray)["applications"]
    assert page.count(application["import_path"]) == 2
