"""What a package says to people."""

import pytest

from napari_unetseg.zoo.bioimageio.documentation import citation_of, document, network_citation, unsaid
from napari_unetseg.zoo.card import NETWORK_TITLES

DATA = {"name": "Set A", "licence": "CC0-1.0", "citation": "Doe 2020, 10.1000/xyz.123", "images": 7}


@pytest.mark.parametrize(
    ("words", "entry"),
    [
        ("Doe 2020, 10.1038/s41592-019-0612-7.", {"doi": "10.1038/s41592-019-0612-7"}),
        ("See (https://example.org/a_b).", {"url": "https://example.org/a_b"}),
        ("Usiigaci (github oist/Usiigaci), cells", {"url": "https://github.com/oist/Usiigaci"}),
        ("BBBC038v1 (Data Science Bowl)", {"url": "https://bbbc.broadinstitute.org/BBBC038"}),
    ],
)
def test_addresses_are_found_in_words(words, entry):
    assert citation_of(words) == {"text": words, **entry}


def test_words_without_an_address_are_no_citation():
    assert citation_of("Papenko, Nails segmentation, Kaggle 2021") is None


def test_every_network_of_ours_can_be_cited(make_card):
    for name in NETWORK_TITLES.keys() - {"onnx_graph", "torchscript"}:
        assert citation_of(network_citation(make_card(architecture={"name": name, "arguments": {}})))


def test_the_page_says_what_the_card_says(make_card):
    model = make_card(
        training_data=[DATA],
        scores={"split": "5 images held out", "validation": {"images": 5, "dice": 0.9}, "limits": "small objects"},
    )
    page = document(model, ["A. Doe", "B. Roe"], "CC-BY-4.0", ["They differ by 0."])
    for words in (
        "# Tiny objects\n\nFor tests.",
        "Made by A. Doe, B. Roe. Licence: CC-BY-4.0.",
        "- Input: red, green, blue.",
        "the percentiles 1 and 99.8 of the whole image become 0 and 1, all channels together",
        "- Output `foreground`: the probability that a pixel belongs to an object.",
        "- Set A: Doe 2020, 10.1000/xyz.123. 7 images, licence: CC0-1.0.",
        "## Validation\n\ndice 0.9 (5 images).",
        "- They differ by 0.",
        "## Limits\n\nSmall objects.",
    ):
        assert words in page


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "repeated three times"),
        ({}, "near its edges"),
        ({"input_channels": 1}, "the mean of red, green and blue"),
        ({"normalisation": {"kind": "mean_std", "mean": [0.5], "std": [0.2]}}, "images of 8 bits"),
        ({"image_size": (128, 128)}, "stretched to 128 x 128 pixels"),
        ({"architecture": {"name": "hrnet"}}, "takes statistics from all that it sees"),
        ({"object_size": 20, "object_sizes": (12, 60)}, "objects of 12 to 60 pixels in diameter well"),
        (
            {"parameters": {"threshold": 0.7, "min_size": 33}},
            "foreground above 0.7, touching objects left in one piece",
        ),
        ({"outputs": [{"name": "foreground"}, {"name": "boundary"}], "decoder": "seeded_watershed"}, "by the boundary"),
    ],
)
def test_what_a_package_has_no_field_for_is_said_in_words(make_card, fields, words):
    assert words in " ".join(unsaid(make_card(**fields)))


def test_nothing_is_said_of_grey_images_to_a_model_with_roles(make_card):
    said = " ".join(unsaid(make_card(input_channels=2, channel_roles=("nucleus", "cytoplasm"))))
    assert "grey" not in said
    assert "mean of" not in said
