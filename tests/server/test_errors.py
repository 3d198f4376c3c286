"""Every error as an answer: status, code, and neither a path nor a trace."""

import logging

import pytest
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.exceptions import HTTPException

from napari_unetseg.api.models import SegmentationRequest
from napari_unetseg.errors import DeviceError, ImageError, ModelError, OutOfMemory, ParameterError, UnetsegError
from napari_unetseg.server.errors import ApiError, api_error, invalid_request
from napari_unetseg.service.model_cache import ServiceClosed


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (ImageError("it is cut off"), 422, "image_unreadable"),
        (ParameterError("min_size = -3: too small"), 422, "invalid_parameter"),
        (ModelError("/home/ada/m/model.yaml: broken"), 503, "model_unusable"),
        (DeviceError("no cuda"), 503, "device_unusable"),
        (OutOfMemory("no room"), 503, "out_of_memory"),
        (MemoryError(), 503, "out_of_memory"),
        (ServiceClosed(), 503, "stopping"),
        (UnetsegError("/secret/place"), 500, "internal_error"),
        (ZeroDivisionError("/secret/place"), 500, "internal_error"),
        (HTTPException(404), 404, "not_found"),
        (HTTPException(405, headers={"Allow": "GET"}), 405, "method_not_allowed"),
        (HTTPException(413, "too large"), 413, "request_too_large"),
        (HTTPException(400), 400, "invalid_request"),
        (RequestValidationError([{"type": "missing", "loc": ("query", "model"), "msg": "no"}]), 422, "invalid_request"),
        (ApiError(409, "own", "words"), 409, "own"),
    ],
)
def test_each_error_has_its_status_and_code(error, status, code):
    found = api_error(error)
    assert (found.status, found.code) == (status, code)
    assert "/" not in found.message.replace("/docs", "")
    assert status != 503 or int(found.headers["Retry-After"]) > 0


def test_what_the_client_must_not_see_is_logged(caplog):
    with caplog.at_level(logging.ERROR, "napari_unetseg"):
        api_error(ModelError("/home/ada/m/model.yaml: broken"))
        api_error(ZeroDivisionError("inside"))
    assert "/home/ada/m/model.yaml: broken" in caplog.text
    assert "ZeroDivisionError: inside" in caplog.text


def test_a_wrong_parameter_is_named():
    assert api_error(ParameterError("min_size = -3: too small")).field == "min_size"
    assert api_error(ParameterError("something else")).field is None


def test_all_wrong_fields_are_named_and_what_was_sent_is_not_repeated():
    with pytest.raises(ValidationError) as raised:
        SegmentationRequest.model_validate({"image_data": 7, "threshold": "secret", "n" * 500: 1})
    error = invalid_request(raised.value)
    fields = [fault.field for fault in error.details]
    assert fields == ["threshold", "image_data", "n" * 100 + "..."]
    assert error.field == "threshold"
    assert "secret" not in str([fault.message for fault in error.details])
