from typing import get_args

import pytest

from napari_unetseg.errors import ParameterError
from napari_unetseg.inference.backends import BACKENDS
from napari_unetseg.inference.backends.preference import choose_backend
from napari_unetseg.zoo.card import BackendName


@pytest.mark.parametrize(
    ("argument", "setting", "stated", "chosen"),
    [
        (None, None, None, "torch"),
        (None, None, "onnxruntime", "onnxruntime"),
        (None, "torch", "onnxruntime", "torch"),
        ("onnxruntime", "torch", "torch", "onnxruntime"),
        ("torch", "onnxruntime", "onnxruntime", "torch"),
    ],
)
def test_argument_goes_before_setting_and_that_before_the_card(make, argument, setting, stated, chosen):
    card = make.card().model_copy(update={"backend": stated})
    assert choose_backend(argument, setting, card) == chosen


def test_an_unknown_backend_is_named(make):
    with pytest.raises(ParameterError, match=r"no backend 'abacus'. Choose one of torch, onnxruntime"):
        choose_backend("abacus", None, make.card())


def test_cards_know_the_backends_there_are():
    assert get_args(BackendName) == BACKENDS
