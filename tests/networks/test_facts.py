"""What is told of a network without building it is what the network is."""

import inspect
import subprocess
import sys

import pytest

from napari_unetseg.networks import ARCHITECTURES, build
from napari_unetseg.networks.facts import network_facts
from napari_unetseg.networks.working_memory import SMALL, working_bytes
from napari_unetseg.zoo.registry import bundled_model_folder, find_model

SMALL_NETWORKS = [
    ("unet", {"features": [4, 8, 16]}),
    ("unet", {"features": [4, 8], "norm": "instance"}),
    ("cbam_resunet", {"features": [4, 8]}),
    ("hrnet", {"widths": [2, 4, 8, 16]}),
    ("attention_unet", {"base_channels": 4, "depth": 2}),
    ("subpixel_unet", {"features": [4, 8]}),
    ("subpixel_unet", {"features": [4, 8, 8], "block": 4}),
    ("subpixel_unet", {"features": [4, 8], "norm": "instance"}),
]
BUNDLED = [
    (find_model(folder).card.architecture.name, find_model(folder).card.architecture.arguments)
    for folder in sorted(bundled_model_folder().iterdir())
    if folder.is_dir()
]
DEFAULTS = {
    "unet": ("features", (64, 128, 256, 512, 1024)),
    "cbam_resunet": ("features", (64, 128, 256, 512)),
    "hrnet": ("widths", (48, 96, 192, 384)),
    "attention_unet": ("base_channels", 64),
    "subpixel_unet": ("features", (32, 64, 128, 256)),
}


@pytest.mark.parametrize(("architecture", "arguments"), [*SMALL_NETWORKS, *BUNDLED])
def test_facts_are_those_of_the_network(architecture, arguments):
    network, facts = build(architecture, arguments), network_facts(architecture, arguments)
    assert facts == network.facts
    assert facts.type_name == type(network).__name__
    assert facts.depth == network.depth
    assert facts.receptive_radius == network.receptive_radius
    assert (
        facts.in_bands == network.in_bands == (type(network).bands is not build("hrnet", {}).bands and facts.in_bands)
    )
    for size in ((1, 1), (33, 7), (200, 100)):
        assert facts.accepted_size(*size) == network.accepted_size(*size)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_what_is_left_out_has_the_default_of_the_network(architecture):
    name, value = DEFAULTS[architecture]
    assert inspect.signature(ARCHITECTURES[architecture]).parameters[name].default == value
    assert network_facts(architecture, {}) == network_facts(architecture, {name: value})


def test_every_architecture_has_facts():
    assert {network_facts(name, {}).type_name for name in ARCHITECTURES} == {
        kind.__name__ for kind in ARCHITECTURES.values()
    }


def test_facts_need_no_torch():
    program = "import sys, napari_unetseg.networks.facts; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False, timeout=60).returncode == 0


def test_bands_save_memory_where_maps_are_large():
    facts = network_facts("unet", {"features": [16, 32, 64]})
    large, small = 2000, int(SMALL**0.5) // 4 * 4
    for side, saves in ((large, True), (small, False)):
        in_bands, whole = (working_bytes(facts, side, side, in_bands=banded) for banded in (True, False))
        assert (in_bands < whole) == saves
    assert working_bytes(network_facts("hrnet", {}), 100, 100, in_bands=False) is None
