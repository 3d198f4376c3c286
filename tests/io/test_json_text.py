import json

import numpy as np
import pytest

from napari_unetseg.io.json_text import json_text


def test_what_json_does_not_hold_is_null_or_text() -> None:
    value = {
        "nan": float("nan"),
        "inf": np.float32("inf"),
        "count": np.int64(3),
        "mean": np.float64(0.5),
        "flag": np.bool_(True),
        "rows": np.array([[1, 2]]),
        "pair": (1, float("-inf")),
        "name": "zelle_\udcfc",
        5: None,
    }
    assert json.loads(json_text(value), parse_constant=pytest.fail) == {
        "nan": None,
        "inf": None,
        "count": 3,
        "mean": 0.5,
        "flag": True,
        "rows": [[1, 2]],
        "pair": [1, None],
        "name": "zelle_%FC",
        "5": None,
    }
