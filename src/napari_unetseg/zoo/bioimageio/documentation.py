"""What a package says to people: what the model is, how good, where its limits are, and how to use it.

It is English, as all that the BioImage Model Zoo shows.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from napari_unetseg.zoo.bioimageio.operations import channel_names, halo_of
from napari_unetseg.zoo.card import (
    NETWORK_TITLES,
    Linear,
    MeanStd,
    MinMax,
    ModelCard,
    Percentile,
    TrainingData,
    ZScore,
    headline,
)

_HEADS: Mapping[str, str] = {
    "foreground": "the probability that a pixel belongs to an object",
    "boundary": "the probability that a pixel lies on the border of an object",
    "distance": "how far inside its object a pixel lies: 0 at the border, 1 in the middle",
    "flow_y": "which way, from top to bottom, the middle of the object lies",
    "flow_x": "which way, from left to right, the middle of the object lies",
}
_UNET = "Ronneberger et al., U-Net, MICCAI 2015, 10.1007/978-3-319-24574-4_28"
_PUBLISHED: Mapping[str, str] = {
    "unet": _UNET,
    "subpixel_unet": _UNET,
    "cbam_resunet": "Woo et al., CBAM: convolutional block attention module, ECCV 2018, 10.1007/978-3-030-01234-2_1",
    "hrnet": "Wang et al., Deep high-resolution representation learning, TPAMI 2020, 10.1109/TPAMI.2020.2983686",
    "attention_unet": "Oktay et al., Attention U-Net, MIDL 2018, https://arxiv.org/abs/1804.03999",
}
_DOI = re.compile(r"10\.\d{4,9}/[^\s,;\"<>]+[^\s,;\"<>.)]")
_URL = re.compile(r"https?://[^\s,;\"<>]+[^\s,;\"<>.)]")
_GITHUB = re.compile(r"\bgithub ([\w.-]+/[\w.-]+)")
_BROAD = re.compile(r"\bBBBC\d{3}")


def citation_of(words: str) -> dict[str, str] | None:
    """Return an entry of the zoo's list of what to cite; None where the words name no address that it asks for.

    A DOI, an address, ``github owner/repository`` and the numbers of the Broad Bioimage Benchmark Collection are
    recognised.
    """
    if found := _DOI.search(words):
        return {"text": words, "doi": found[0]}
    if found := _URL.search(words):
        return {"text": words, "url": found[0]}
    if found := _GITHUB.search(words):
        return {"text": words, "url": f"https://github.com/{found[1]}"}
    if found := _BROAD.search(words):
        return {"text": words, "url": f"https://bbbc.broadinstitute.org/{found[0]}"}
    return None


def network_citation(card: ModelCard) -> str:
    """Return where the model's kind of network was published."""
    return _PUBLISHED[card.architecture.name]


def source_words(data: TrainingData) -> str:
    """Return a data set in a line, as it is cited."""
    return f"{data.name}: {data.citation}"


def unsaid(card: ModelCard) -> tuple[str, ...]:
    """Return what a program has to know that the fields of a package cannot say, as sentences."""
    return tuple(_unsaid(card))


def _unsaid(card: ModelCard) -> Iterator[str]:
    if card.input_channels == 3 and not card.channel_roles:
        yield "A grey image is repeated three times, once for each colour; of more channels one is chosen first."
    if card.input_channels == 1:
        yield "Of a colour image the network sees the mean of red, green and blue."
    if isinstance(card.normalisation, MeanStd):
        yield (
            "Intensities are stated for images of 8 bits. Bring others to 0..255 first, so that 255 is the white of "
            "the camera (4095 for 12 bits, 65535 for 16)."
        )
    if card.image_size:
        height, width = card.image_size
        yield (
            f"Every image is stretched to {height} x {width} pixels before the network sees it, and the probabilities "
            "are stretched back; do not cut it into windows."
        )
    elif not halo_of(card):
        yield (
            "The network takes statistics from all that it sees, so that windows and the whole image differ. Show it "
            "the whole image, or windows of about 1,024 pixels, blended where they overlap."
        )
    else:
        yield (
            "Here nothing is added around an image. Programs that mirror it outwards by the halo give slightly other "
            "probabilities near its edges."
        )
    if card.object_sizes:
        least, most = card.object_sizes
        yield (
            f"It sees objects of {least:g} to {most:g} pixels in diameter well. napari-unetseg rescales an image with "
            f"others to {card.object_size:g} pixels and looks again; other programs do not."
        )
    yield (
        f"The outputs are probabilities. napari-unetseg reads objects off them: foreground above "
        f"{card.parameters.threshold:g}, {_divided(card)}, none below {card.parameters.min_size} pixels."
    )


def _divided(card: ModelCard) -> str:
    if card.decoder == "threshold":
        return "touching objects left in one piece"
    head = "distance" if "distance" in card.heads else "boundary"
    return f"touching objects divided by the {head}"


def document(card: ModelCard, authors: Sequence[str], licence: str, differences: Sequence[str]) -> str:
    """Write the documentation of a package as Markdown.

    Parameters
    ----------
    authors
        Names.
    licence
        As the package states it.
    differences
        What was measured when the package was written, as sentences.
    """
    parts = [
        f"# {card.display_name}",
        card.description,
        f"{NETWORK_TITLES[card.architecture.name]} for 2D images; stacks are segmented plane by plane. "
        f"Made by {', '.join(authors)}. Licence: {licence}.",
        "## Input and output",
        _bullets(
            [
                f"Input: {', '.join(channel_names(card))}.",
                f"Intensities: {_intensities(card)}.",
                *(f"Output `{name}`: {_HEADS[name]}." for name in card.heads),
            ]
        ),
        "## What the fields of this package cannot say",
        _bullets(unsaid(card)),
        "## Use",
        "In napari-unetseg (`pip install napari-unetseg`), where objects, contours and measurements come out, give "
        "this package to *Add model...*, or to the command line:",
        f"    napari-unetseg convert {card.name}.bioimageio.zip -o {card.name}\n"
        f"    napari-unetseg segment image.tif --model {card.name}",
        "Other programs of the BioImage Model Zoo run the ONNX weights, or the state dict with napari-unetseg "
        "installed, and give the probabilities.",
        "## Training data",
        _bullets(f"{source_words(data)}. {data.images} images, licence: {data.licence}." for data in card.training_data)
        or "Not stated.",
        "## Validation",
        _validation(card),
        _bullets(differences),
        "To validate the model on your own images, draw the objects of some that it never saw, and compare: "
        "`napari-unetseg evaluate` reports Dice, IoU and AP of images with masks.",
    ]
    if isinstance(limits := card.scores.get("limits"), str):
        parts += ["## Limits", f"{limits[:1].upper()}{limits[1:]}."]
    return "\n\n".join(filter(None, parts)) + "\n"


def _bullets(lines: Any) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _validation(card: ModelCard) -> str:
    line = headline(card.scores)
    if not line:
        return "No scores were stated."
    stated = ((key, card.scores.get(key)) for key in ("split", "measures"))
    how = (f"{key.capitalize()}: {words}." for key, words in stated if isinstance(words, str))
    return "\n\n".join([f"{line}.", *how])


def _intensities(card: ModelCard) -> str:
    normalisation = card.normalisation
    match normalisation:
        case Percentile():
            said = f"the percentiles {normalisation.low:g} and {normalisation.high:g} of the whole image become 0 and 1"
        case MinMax():
            said = "the smallest and the largest value of the whole image become 0 and 1"
        case ZScore():
            said = "the mean of the whole image becomes 0, and its standard deviation 1"
        case MeanStd():
            said = f"0..255 becomes 0..1, less {list(normalisation.mean)}, divided by {list(normalisation.std)}"
        case Linear():
            said = f"stored values times {list(normalisation.gain)}, plus {list(normalisation.offset)}"
    if isinstance(normalisation, Percentile | MinMax | ZScore):
        said += ", each channel by itself" if normalisation.per_channel else ", all channels together"
    return said
