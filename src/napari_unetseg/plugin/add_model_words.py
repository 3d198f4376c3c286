"""What the window for a new model says. Pure functions."""

import os
from collections.abc import Set
from pathlib import Path
from typing import TYPE_CHECKING

from napari_unetseg.zoo.card import IMAGENET, TITLES, MeanStd, MinMax, ModelCard, Normalisation, Percentile, as_name
from napari_unetseg.zoo.fit import left_out
from napari_unetseg.zoo.published import PUBLISHED, PublishedModel, published_with

if TYPE_CHECKING:
    from napari_unetseg.zoo.adding import Candidate

ADVICE = (
    "Whoever trained the network knows how its images were prepared. A wrong choice does not fail; "
    "it finds worse objects."
)
ASKING = "Say in the other window how images are prepared for this model."
NORMALISATIONS: dict[str, Normalisation] = {
    "Percentiles: 1 % and 99.8 % become 0 and 1": Percentile(),
    "ImageNet mean and standard deviation": IMAGENET,
    "Darkest and brightest pixel become 0 and 1": MinMax(),
}
"""Ways to prepare intensities, in words."""


def reading(file: str) -> str:
    """Say that a file is being looked at."""
    return f"Reading {file}. Nothing in it is run."


def adding(name: str) -> str:
    """Say that a model is being written."""
    return f"Adding {name} to your models..."


def added(name: str) -> str:
    """Say that a model can be used."""
    return f"{name} was added and is chosen. Press Run to try it."


def not_added(file: str) -> str:
    """Say that nothing was changed."""
    return f"{file} was not added."


def about_file(sentence: str, path: Path) -> str:
    """Name the file in a sentence by its name alone, since the path to it may fill the window."""
    short = sentence.replace(f"{path.parent}{os.sep}", "")
    return short if path.name in short else f"{path.name}: {short}"


def network(card: ModelCard) -> str:
    """Return ``"U-Net (64, 128, 256 channels, InstanceNorm)"``."""
    arguments = card.architecture.arguments
    channels = arguments.get("features") or arguments.get("widths")
    if not channels and "base_channels" in arguments:
        channels = [arguments["base_channels"] * 2**level for level in range(arguments.get("depth", 0) + 1)]
    facts = [f"{', '.join(map(str, channels))} channels"] if channels else []
    if "norm" in arguments:
        facts.append({"instance": "InstanceNorm", "batch": "BatchNorm"}[arguments["norm"]])
    title = TITLES[card.architecture.name]
    return f"{title} ({'; '.join(facts)})" if facts else title


def recognised(candidate: "Candidate", card: ModelCard) -> str:
    """Say what a file is, in a line."""
    if candidate.is_package:
        return f"Model package {card.display_name}"
    published = published_with(card.architecture)
    known = f"the network of {published.display_name}" if published else TITLES[card.architecture.name]
    return f"Recognised as {known}"


def facts(candidate: "Candidate", index: int) -> dict[str, str]:
    """Return what was read off a file, by what it is."""
    card = candidate.cards[index]
    told = {
        "File": f"{candidate.source.name} ({candidate.size / 1e6:,.1f} MB)",
        "Network": network(card),
        "Parameters": f"{candidate.parameters[index] / 1e6:,.2f} million",
    }
    if not candidate.is_package:
        told["Left out"] = "; ".join(left_out(candidate.dropped, candidate.beside)) or "nothing"
    return told


def suggested_name(candidate: "Candidate", taken: Set[str]) -> str:
    """Return words for a model's name that are still free."""
    card = candidate.cards[0]
    published = published_with(card.architecture)
    known = published is not None and published.name not in taken and not candidate.is_package
    words = published.display_name if known and published else card.display_name
    free, number = words, 1
    while model_name(free, card) in taken:
        number += 1
        free = f"{words} {number}"
    return free


def model_name(words: str, card: ModelCard) -> str:
    """Return the name of a model that is called so: of the published model, if it is that one, its own."""
    published: PublishedModel | None = published_with(card.architecture)
    if published is not None and words.strip() == published.display_name:
        return published.name
    return card.name if words.strip() == card.display_name else as_name(words)


def normalisations(card: ModelCard) -> dict[str, Normalisation]:
    """Return the ways to prepare intensities that suit a network, in words."""
    known = published_with(card.architecture) is not None
    return {
        f"{text} (as published)" if known and way == card.normalisation else text: way
        for text, way in NORMALISATIONS.items()
        if not isinstance(way, MeanStd) or len(way.mean) == card.input_channels
    }


def name_fault(words: str, card: ModelCard, taken: Set[str]) -> str:
    """Say why a model cannot be called so; empty if it can."""
    if not words.strip():
        return "Give the model a name."
    name = model_name(words, card)
    published = PUBLISHED.get(name)
    if name in taken:
        return f"There is a model {name} already."
    if published is not None and published.architecture != card.architecture:
        return f"The name {name} is kept for another published network."
    return ""
