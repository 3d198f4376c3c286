"""The backend of graphics cards, on the CPU in a card's place, and on what cards there are."""

from copy import deepcopy

import numpy as np
import pytest
import torch

from napari_unetseg.errors import Cancelled, ModelError
from napari_unetseg.inference.backends.device import Device, choose_device
from napari_unetseg.inference.backends.gpu_backend import GpuBackend

PRETENDED = Device("cuda", "It is pretended.")
GPUS = [
    kind
    for kind, present in (("cuda", torch.cuda.is_available()), ("mps", torch.backends.mps.is_available()))
    if present
]


@pytest.fixture
def on_card(make):
    return lambda network, **options: GpuBackend(network, make.heads, PRETENDED, torch_name="cpu", **options)


def test_a_card_gives_what_the_processor_gives(make, on_card, batch):
    network = make.network()
    expected = make.backend(deepcopy(network)).run(batch)
    backend = on_card(network)
    assert (backend.precision, backend.in_bands, backend.device.kind) == ("float32", False, "cuda")
    np.testing.assert_allclose(backend.run(batch), expected, atol=1e-5)


def test_a_cancel_is_seen_before_a_batch(make, on_card, batch):
    with pytest.raises(Cancelled):
        on_card(make.network()).run(batch, lambda: True)


def test_an_unloaded_backend_says_so(make, on_card, batch):
    backend = on_card(make.network())
    backend.unload()
    with pytest.raises(ModelError, match="unloaded"):
        backend.run(batch)
    with pytest.raises(ModelError, match="unloaded"):
        backend.accepted_size(1, 1)


@pytest.mark.skipif(not GPUS, reason="no GPU")
@pytest.mark.parametrize("kind", GPUS)
def test_a_real_card_gives_what_the_processor_gives(make, batch, kind):
    network = make.network()
    expected = make.backend(deepcopy(network)).run(batch)
    backend = GpuBackend(network, make.heads, choose_device(kind))
    assert backend.device_memory_mb > 0
    # Matrix units may round inputs to ten bits (TF32).
    np.testing.assert_allclose(backend.run(batch), expected, atol=5e-3)
