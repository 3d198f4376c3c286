"""What the window for a new model says. Pure functions."""

import os
from collections.abc import Sequence, Set
from pathlib import Path
from typing import TYPE_CHECKING

from napari_unetseg.language import mark, tr, translated
from napari_unetseg.zoo.card import (
    IMAGENET,
    NETWORK_TITLES,
    MeanStd,
    MinMax,
    ModelCard,
    Normalisation,
    Percentile,
    as_name,
)
from napari_unetseg.zoo.compatibility import unused_entries
from napari_unetseg.zoo.published import PUBLISHED, PublishedModel, published_with

if TYPE_CHECKING:
    from napari_unetseg.zoo.bioimageio.importing import Proposal
    from napari_unetseg.zoo.user_models import Candidate

ADVICE = mark(
    "Whoever trained the network knows how its images were prepared. A wrong choice does not fail; "
    "it finds worse objects."
)
QUESTIONS_OPEN = mark("Say in the other window how images are prepared for this model.")
NORMALISATIONS: dict[str, Normalisation] = {
    mark("Percentiles: 1 % and 99.8 % become 0 and 1"): Percentile(),
    mark("ImageNet mean and standard deviation"): IMAGENET,
    mark("Darkest and brightest pixel become 0 and 1"): MinMax(),
}
"""Ways to prepare intensities, in words."""


FILE, NETWORK, PARAMETERS, LEFT_OUT = mark("File"), mark("Network"), mark("Parameters"), mark("Left out")
MADE_BY, LICENCE, CITE, NOTES = mark("Made by"), mark("Licence"), mark("Cite"), mark("Notes")
CONSENT = mark("I trust who made it: run its own network")
CONSENT_REASON = mark(
    "This model brings its own network, as {kind}: a program that somebody else made, which runs on this computer. "
    "Python code of a package never does."
)
CONSENT_TIP = mark(
    "Without it the model cannot be added. Ask who made the package where it comes from, or do without it."
)
OUTPUTS_TIP = mark(
    "The package does not say what the channels of its output mean. Its documentation does, or who made it."
)
MEANINGS = {
    "foreground": mark("Objects"),
    "boundary": mark("Outlines of objects"),
    "distance": mark("Distance from the outline"),
    "unused": mark("Not used"),
}
"""What a channel of a network's output can mean, in words."""


def reading(file: str) -> str:
    """Say that a file is being examined."""
    return tr("Reading {file}. Nothing in it is run.").format(file=file)


def adding(name: str) -> str:
    """Say that a model is being written."""
    return tr("Adding {model} to your models...").format(model=name)


def added(name: str) -> str:
    """Say that a model can be used."""
    return tr("{model} was added and is chosen. Press Run to try it.").format(model=name)


def not_added(file: str) -> str:
    """Say that nothing was changed."""
    return tr("{file} was not added.").format(file=file)


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
    text = tr("{channels} channels")
    facts = [text.format(channels=", ".join(map(str, channels)))] if channels else []
    if "norm" in arguments:
        facts.append({"instance": "InstanceNorm", "batch": "BatchNorm"}[arguments["norm"]])
    title = NETWORK_TITLES[card.architecture.name]
    return f"{title} ({'; '.join(facts)})" if facts else title


def recognised(candidate: "Candidate", card: ModelCard) -> str:
    """Say what a file is, in a line."""
    if candidate.proposal is not None:
        return tr("Package of the BioImage Model Zoo: {model}").format(model=candidate.proposal.description.name)
    if candidate.is_package:
        return tr("Model package {model}").format(model=tr(card.display_name))
    published = published_with(card.architecture)
    if published:
        return tr("Recognised as the network of {model}").format(model=tr(published.display_name))
    return tr("Recognised as {network}").format(network=NETWORK_TITLES[card.architecture.name])


def describe_candidate(candidate: "Candidate", index: int) -> dict[str, str]:
    """Return what was read off a file, by what it is."""
    card = candidate.cards[index]
    read = {
        FILE: f"{candidate.source.name} ({candidate.size / 1e6:.1f} MB)",
        NETWORK: network(card),
        PARAMETERS: tr("{millions:.2f} million").format(millions=candidate.parameters[index] / 1e6),
    }
    if not candidate.parameters[index]:
        del read[PARAMETERS]
    if candidate.proposal is not None:
        return read | _describe_origin(candidate.proposal)
    if not candidate.is_package:
        read[LEFT_OUT] = "; ".join(
            translated(part) for part in unused_entries(candidate.dropped, candidate.extras)
        ) or tr("nothing")
    return read


def _describe_origin(proposal: "Proposal") -> dict[str, str]:
    """Say whose a package is, and what a user should know of it."""
    description = proposal.description
    said = {
        MADE_BY: ", ".join(description.authors),
        LICENCE: description.licence,
        CITE: "; ".join(description.citations),
        NOTES: " ".join(map(translated, proposal.remarks)),
    }
    return {key: shortened(text) for key, text in said.items() if text}


def shortened(text: str, most: int = 300) -> str:
    """Return no more of a text than fits into a window."""
    return text if len(text) <= most else f"{text[: most - 3]}..."


def consent_reason(candidate: "Candidate") -> str:
    """Say why a network that a file brings along is only run when asked for."""
    return tr(CONSENT_REASON).format(kind=NETWORK_TITLES[candidate.cards[0].architecture.name])


def meanings_fault(meanings: Sequence[str]) -> str:
    """Say why channels cannot mean that; empty if they can."""
    used = [meaning for meaning in meanings if meaning != "unused"]
    if "foreground" not in used:
        return tr("Say which channel shows the objects.")
    return "" if len(set(used)) == len(used) else tr("Two channels cannot mean the same.")


def suggested_name(candidate: "Candidate", taken: Set[str]) -> str:
    """Return words for a model's name that are still free."""
    card = candidate.cards[0]
    published = published_with(card.architecture)
    is_own = candidate.is_package or candidate.proposal is not None
    known = published is not None and published.name not in taken and not is_own
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
    published = tr("{normalisation} (as published)")
    return {
        published.format(normalisation=tr(text))
        if known and normalisation == card.normalisation
        else tr(text): normalisation
        for text, normalisation in NORMALISATIONS.items()
        if not isinstance(normalisation, MeanStd) or len(normalisation.mean) == card.input_channels
    }


def name_fault(words: str, card: ModelCard, taken: Set[str]) -> str:
    """Say why a model cannot be called so; empty if it can."""
    if not words.strip():
        return tr("Give the model a name.")
    name = model_name(words, card)
    published = PUBLISHED.get(name)
    if name in taken:
        return tr("There is a model {model} already.").format(model=name)
    if published is not None and published.architecture != card.architecture:
        return tr("The name {model} is kept for another published network.").format(model=name)
    return ""
