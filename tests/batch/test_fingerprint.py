"""What decides a result is written as it always was, so that journals written before stay valid."""

from typing import Any

import pytest

from napari_unetseg.batch.fingerprint import result_fingerprint
from napari_unetseg.errors import ParameterError


@pytest.mark.parametrize(
    ("options", "changed"),
    [
        ({}, {}),
        ({"threshold": 0.5, "min_size": None, "fill_holes": None}, {}),
        (
            {"threshold": 0.6, "split": 1, "channel": 2, "augment": True, "link": True},
            {"threshold": 0.6, "split": 1.0, "channel": 2, "augment": True, "link": True},
        ),
        ({"channels": None}, {}),
        ({"channels": "max( DAPI , 1 )"}, {"channels": "max(DAPI,1)"}),
    ],
)
def test_parameters_are_those_of_older_journals(service: Any, options: dict[str, Any], changed: dict[str, Any]) -> None:
    assert (
        result_fingerprint(service.card, options, {})["parameters"]
        == {
            "channel": None,
            "threshold": 0.5,
            "min_size": 4,
            "split": 0.0,
            "fill_holes": True,
            "diameter": None,
            "augment": False,
            "smoothing": 0,
            "min_confidence": 0.0,
            "link": False,
        }
        | changed
    )


@pytest.mark.parametrize("options", [{"diameter": "large"}, {"treshold": 0.6}])
def test_wrong_options_are_refused(service: Any, options: dict[str, Any]) -> None:
    (name,) = options
    with pytest.raises(ParameterError, match=name):
        result_fingerprint(service.card, options, {})
