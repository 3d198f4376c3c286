"""A model's card in words, for the window that (i) opens."""

from typing import Any

from napari_unetseg.language import grouped, mark, tr
from napari_unetseg.zoo.card import ModelCard
from napari_unetseg.zoo.registry import ModelPackage

_ORIGINS = {"bundled": mark("bundled"), "user": mark("user"), "path": mark("path"), "server": mark("server")}
_DIVIDES = mark("divides touching objects: yes")
_DIVIDES_NOT = mark("divides touching objects: no")


def model_title(card: ModelCard) -> str:
    """Return a model's name for people, translated where it is one of ours."""
    return tr(card.display_name)


def title_and_origin(package: ModelPackage) -> str:
    """Return ``"Nuclei (bundled)"``."""
    return f"{model_title(package.card)} ({tr(_ORIGINS[package.origin])})"


def model_purpose(card: ModelCard) -> str:
    """Return what a model is for, in one line, translated where it is one of ours."""
    return tr(" ".join(card.description.split()))


def describe_model(package: ModelPackage) -> str:
    """Write a model's card as Markdown: purpose, training data, scores, licence, origin."""
    card = package.card
    lines = [f"# {model_title(card)}", "", model_purpose(card), ""]
    if card.image_size:
        height, width = card.image_size
        stretches = tr("stretches every image to {height} x {width} px and its answer back")
        lines.append("* " + stretches.format(height=height, width=width))
    if card.object_size:
        expects = (
            tr("expects objects of about {pixels:g} px at {size:g} µm a pixel")
            if card.pixel_size
            else tr("expects objects of about {pixels:g} px")
        )
        lines.append("* " + expects.format(pixels=card.object_size, size=card.pixel_size))
    lines += [
        "* " + tr(_DIVIDES if card.decoder == "seeded_watershed" else _DIVIDES_NOT),
        "* " + tr("licence: {licence}").format(licence=card.licence),
        "* " + tr("architecture: {name}").format(name=card.architecture.name),
        "* " + tr("weights: SHA-256 {hash}").format(hash=f"`{card.weights.sha256 or tr('not read yet')}`"),
    ]
    if package.origin != "server":
        lines.append("* " + tr("folder: {folder}").format(folder=f"`{package.path}`"))
    if card.training_data:
        lines += ["", f"## {tr('Trained on')}", ""]
        text = tr("{data}: {images} images, {licence}. {citation}")
        lines += [
            "* "
            + text.format(data=data.name, images=grouped(data.images), licence=data.licence, citation=data.citation)
            for data in card.training_data
        ]
    if card.scores:
        lines += ["", f"## {tr('Measured')}", "", *_bullets(card.scores)]
    return "\n".join(lines)


def _bullets(values: dict[str, Any], depth: int = 0) -> list[str]:
    """Write nested values as nested bullets."""
    lines: list[str] = []
    for key, value in values.items():
        words = str(key).replace("_", " ")
        if isinstance(value, dict):
            lines += [f"{'  ' * depth}* {words}", *_bullets(value, depth + 1)]
        else:
            lines.append(f"{'  ' * depth}* {words}: {tr(value) if isinstance(value, str) else value}")
    return lines
