"""Images as requests send them, and requests without a network."""

import base64
import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image
from starlette.requests import Request


@pytest.fixture(scope="session")
def squares() -> np.ndarray:
    """An image of three bright squares, uint8 (40, 48): `bright_model` finds exactly these."""
    image = np.full((40, 48), 20, np.uint8)
    for y, x in [(4, 5), (6, 30), (25, 12)]:
        image[y : y + 9, x : x + 8] = 220
    return image


@pytest.fixture(scope="session")
def encode() -> Callable[..., bytes]:
    """Write an array as an image file: ``encode(array, "PNG")``."""

    def write(array: np.ndarray, kind: str = "PNG", **options: Any) -> bytes:
        file = io.BytesIO()
        Image.fromarray(array).save(file, kind, **options)
        return file.getvalue()

    return write


@pytest.fixture(scope="session")
def as_text(encode: Callable[..., bytes]) -> Callable[..., str]:
    """Write an array as an image file in base64, as `image_data` has it."""
    return lambda array, kind="PNG", **options: base64.b64encode(encode(array, kind, **options)).decode()


@pytest.fixture(scope="session")
def read_png() -> Callable[[str], np.ndarray]:
    """Read a picture that an answer holds in base64."""
    return lambda text: np.asarray(Image.open(io.BytesIO(base64.b64decode(text))))


@pytest.fixture
def make_request() -> Callable[..., Request]:
    """A request whose body was read, for `Workers`; its client leaves when `gone` is set."""

    def make(gone: Any = None, identity: str = "id-1") -> Request:
        async def receive() -> dict[str, str]:
            import asyncio

            await (gone or asyncio.Event()).wait()
            return {"type": "http.disconnect"}

        return Request({"type": "http", "headers": [], "state": {"request_id": identity}}, receive)

    return make
