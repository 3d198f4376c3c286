"""A model's card in words, for the window that (i) opens."""

from typing import Any

from napari_unetseg.zoo.registry import ModelPackage


def describe_model(package: ModelPackage) -> str:
    """Write a model's card as Markdown: purpose, training data, scores, licence, origin."""
    card = package.card
    lines = [f"# {card.display_name}", "", card.description.strip(), ""]
    if card.image_size:
        lines.append(f"* stretches every image to {card.image_size[0]} x {card.image_size[1]} px and its answer back")
    if card.object_size:
        pixels = f"expects objects of about {card.object_size:g} px"
        lines.append(f"* {pixels}" + (f" at {card.pixel_size:g} µm a pixel" if card.pixel_size else ""))
    lines += [
        f"* divides touching objects: {'yes' if card.decoder == 'seeded_watershed' else 'no'}",
        f"* licence: {card.licence}",
        f"* architecture: {card.architecture.name}",
        f"* weights: SHA-256 `{card.weights.sha256 or 'not read yet'}`",
        f"* folder: `{package.path}`",
    ]
    if card.training_data:
        lines += ["", "## Trained on", ""]
        lines += [
            f"* {data.name}: {data.images} images, {data.licence}. {data.citation}" for data in card.training_data
        ]
    if card.scores:
        lines += ["", "## Measured", "", *_bullets(card.scores)]
    return "\n".join(lines)


def _bullets(values: dict[str, Any], depth: int = 0) -> list[str]:
    """Write nested values as nested bullets."""
    lines: list[str] = []
    for key, value in values.items():
        words = str(key).replace("_", " ")
        if isinstance(value, dict):
            lines += [f"{'  ' * depth}* {words}", *_bullets(value, depth + 1)]
        else:
            lines.append(f"{'  ' * depth}* {words}: {value}")
    return lines
