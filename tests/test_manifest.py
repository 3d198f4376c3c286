"""What napari reads about the plugin; `npe2 validate` lets unknown menus and commands pass, so look closer."""

import email.parser
import email.policy
import zipfile
from collections.abc import Iterator
from email.message import EmailMessage
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
import yaml
from npe2 import PluginManifest

from napari_unetseg.zoo.cross_validated import main_scores

# The menus that napari lets plugins fill (napari 0.9).
OPEN_MENUS = {
    *(f"napari/file/{menu}" for menu in ("new_layer", "io_utilities", "acquire")),
    *(
        f"napari/layers/{menu}"
        for menu in (
            *("visualize", "annotate", "data", "metadata", "layer_type", "filter", "transform", "measure"),
            *("register", "project", "segment", "track", "classify"),
        )
    ),
}


@pytest.fixture(scope="module")
def manifest_path(repository: Path) -> Path:
    return repository / "src" / "napari_unetseg" / "napari.yaml"


@pytest.fixture(scope="module")
def manifest(manifest_path: Path) -> PluginManifest:
    return PluginManifest.from_file(manifest_path)


@pytest.fixture(scope="module")
def contributions(manifest_path: Path) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(manifest_path.read_text(encoding="utf-8"))["contributions"]
    return content


def commands_referred_to(node: Any) -> Iterator[str]:
    """Every `command:` anywhere below, the declarations (which say `id:`) aside."""
    if isinstance(node, dict):
        yield from ([node["command"]] if "command" in node else [])
        node = list(node.values())
    if isinstance(node, list):
        for child in node:
            yield from commands_referred_to(child)


def test_every_command_can_be_imported(manifest: PluginManifest) -> None:
    manifest.validate_imports()


def test_the_manifest_found_by_name_is_this_one(manifest: PluginManifest) -> None:
    assert PluginManifest.from_distribution("napari-unetseg").contributions == manifest.contributions


def test_every_contribution_refers_to_a_declared_command(contributions: dict[str, Any]) -> None:
    declared = {command["id"] for command in contributions["commands"]}
    referred = set(commands_referred_to(contributions))
    assert referred
    assert referred <= declared


def test_commands_can_be_told_apart(contributions: dict[str, Any]) -> None:
    for key in ("id", "title"):
        values = [command[key] for command in contributions["commands"]]
        assert len(values) == len(set(values))


def test_menus_are_among_those_napari_opens_to_plugins(contributions: dict[str, Any]) -> None:
    own = {submenu["id"] for submenu in contributions.get("submenus", [])}
    assert contributions["menus"]
    assert set(contributions["menus"]) <= OPEN_MENUS | own


def test_the_widget_and_samples_for_all_bundled_models_are_offered(manifest: PluginManifest) -> None:
    assert [widget.display_name for widget in manifest.contributions.widgets or []] == ["U-Net Segmentation"]
    keys = {str(sample.key) for sample in manifest.contributions.sample_data or []}
    assert keys == {"nuclei", "tissue", "cells", "spheroids", "hand"}


def test_the_icon_is_in_the_package(manifest: PluginManifest) -> None:
    package, _, name = (manifest.icon or "").partition(":")
    assert (resources.files(package) / name).is_file()


@pytest.mark.parametrize("name", ["napari.yaml", "models"])
def test_the_top_level_shows_what_the_package_holds(repository: Path, name: str) -> None:
    link = repository / name
    assert link.is_symlink()
    assert link.resolve() == (repository / "src" / "napari_unetseg" / name).resolve()
    assert link.exists()


@pytest.fixture(scope="module")
def metadata(wheel: Path) -> EmailMessage:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        text = archive.read(name).decode()
    return email.parser.Parser(policy=email.policy.default.clone(utf8=True)).parsestr(text)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "field",
    [
        *("Name", "Version", "Summary", "Author", "License-Expression", "License-File", "Keywords"),
        *("Requires-Python", "Requires-Dist", "Description-Content-Type", "Project-URL", "Classifier"),
    ],
)
def test_the_hub_finds_every_field(metadata: EmailMessage, field: str) -> None:
    assert metadata[field]


def test_the_hub_finds_the_plugin_and_its_pages(metadata: EmailMessage) -> None:
    classifiers = metadata.get_all("Classifier", [])
    assert "Framework :: napari" in classifiers
    assert any(classifier.startswith("Operating System ::") for classifier in classifiers)
    assert any(classifier.startswith("Programming Language :: Python :: 3.") for classifier in classifiers)
    labels = {str(url).partition(",")[0] for url in metadata.get_all("Project-URL", [])}
    assert {"Homepage", "Documentation", "Bug Tracker", "Source Code"} <= labels


def test_the_description_needs_no_file_of_the_repository(metadata: EmailMessage) -> None:
    text = metadata.get_content()
    assert text.startswith("# napari-unetseg")
    images = [part.partition(")")[0] for part in text.split("](")[1:]]
    relative = [target for target in images if not target.startswith(("https://", "#"))]
    assert relative == []


def test_the_page_of_the_models_states_the_scores_of_the_bundled_one(repository: Path) -> None:
    card = yaml.safe_load((repository / "models" / "nuclei" / "model.yaml").read_text(encoding="utf-8"))
    scores = card["scores"]
    stated = (repository / "docs" / "choosing-a-model.md").read_text(encoding="utf-8")
    baselines = scores["otsu_watershed"], scores["foreground_only"]
    main = main_scores(scores)
    for figures in (main, *main["per_kind"].values(), *baselines):
        row = f"({figures['images']}) | {figures['dice']:.2f} | {figures['ap50']:.2f} | {figures['ap75']:.2f} |"
        assert row in stated
