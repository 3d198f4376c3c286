from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from napari_unetseg.api.models import ErrorDetail
from napari_unetseg.api.prediction_stream import (
    PredictionReader,
    ServedPrediction,
    StreamBroken,
    StreamFailed,
    error_line,
    last_parts,
    line,
    npy_parts,
)
from napari_unetseg.image import Image
from napari_unetseg.inference.prediction import Prediction
from napari_unetseg.inference.run_facts import RunFacts

BITS = st.floats(width=32)  # of any kind: what is sent comes back, whatever it is
SERVED = ServedPrediction(
    Prediction(np.zeros((2, 4, 5), np.float32), ("Mind the gap.",), 96, 16, 4, (8, 9), None, 512, 2, 3),
    model="nuclei",
    sha256="0" * 64,
    card_sha256="1" * 64,
    facts=RunFacts("cuda", "It is there.", "torch", "It is fast.", "bfloat16", ("On the CPU.",)),
    version="1.2.3",
    versions={"torch": "2.9"},
)


@st.composite
def predictions(draw):
    shape = draw(array_shapes(min_dims=3, max_dims=3, max_side=7))
    agreement = draw(st.none() | arrays(np.float32, shape[1:], elements=BITS))
    probability = draw(arrays(np.float32, shape, elements=BITS))
    return replace(SERVED.prediction, probability=probability, agreement=agreement)


def reader(shape=(2, 4, 5), progress=lambda *_: None, on_stage=lambda _: None):
    return PredictionReader(Image(np.zeros(shape[1:], np.uint8)), shape[0], progress, on_stage)


def equal_bits(one, other):
    return (one is None and other is None) or one.tobytes() == other.tobytes()


@given(predictions(), st.booleans(), st.integers(1, 60), st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9))))
@settings(deadline=None)
def test_what_is_written_is_read_again_in_parts_of_any_length(prediction, compress, length, told):
    sent = b"".join([line("stage", "running"), line("alive", True), *(line("progress", one) for one in told)])
    sent += b"".join(last_parts(replace(SERVED, prediction=prediction), compress=compress))
    heard, stages = [], []
    reading = reader(prediction.probability.shape, lambda *said: heard.append(said), stages.append)
    for start in range(0, len(sent), length):
        assert reading.served is None
        reading.feed(sent[start : start + length])
    read = reading.served
    assert heard == told
    assert stages == ["running"]
    assert equal_bits(read.prediction.probability, prediction.probability)
    assert equal_bits(read.prediction.agreement, prediction.agreement)
    plain = {"probability": np.zeros(1), "agreement": None}
    assert replace(read.prediction, **plain) == replace(prediction, **plain | {"probability": plain["probability"]})
    assert replace(read, prediction=None) == replace(SERVED, prediction=None)


def test_maps_of_several_blocks_arrive_whole():
    maps = np.random.default_rng(3).random((2, 1100, 1000), np.float32)
    prediction = replace(SERVED.prediction, probability=maps, agreement=maps[1].copy())
    for compress in (False, True):
        reading = reader(maps.shape)
        for part in last_parts(replace(SERVED, prediction=prediction), compress=compress):
            reading.feed(bytes(part))
        np.testing.assert_array_equal(reading.served.prediction.probability, maps)
        np.testing.assert_array_equal(reading.served.prediction.agreement, maps[1])


def test_an_error_ends_the_stream():
    detail = ErrorDetail(code="out_of_memory", message="There is none.")
    with pytest.raises(StreamFailed) as failed:
        reader().feed(line("progress", (1, 2)) + error_line(detail))
    assert failed.value.detail == detail


@pytest.mark.parametrize(
    "sent",
    [
        b"<html>\n",
        b"[1]\n",
        b'{"progress": [1]}\n',
        b'{"prediction": {"format": 2}}\n',
        b"x" * (2**20 + 1),
        b"".join(last_parts(SERVED, compress=False)) + b"x",
        next(last_parts(SERVED, compress=True)) + b"\xff\xff\xff\xff",
        next(last_parts(SERVED, compress=True)) + b"\x04\0\0\0abcd",
    ],
)
def test_anything_else_is_refused(sent):
    with pytest.raises(StreamBroken):
        reader().feed(sent)


def test_no_room_is_made_for_maps_of_another_shape():
    with pytest.raises(StreamBroken, match="the maps are"):
        reader((2, 4, 6)).feed(next(last_parts(SERVED, compress=False)))


@pytest.mark.parametrize("array", [np.arange(12, dtype=">u2").reshape(3, 4).T, np.ones((2, 3), bool)])
def test_an_array_is_sent_as_npy(array):
    header, pixels = npy_parts(array)
    read = np.load(BytesIO(header + pixels.tobytes()), allow_pickle=False)
    assert read.dtype == array.dtype
    np.testing.assert_array_equal(read, array)
