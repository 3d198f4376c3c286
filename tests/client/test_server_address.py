import pytest

from napari_unetseg.client.server_address import ServerAddress
from napari_unetseg.errors import ParameterError


@pytest.mark.parametrize(
    ("text", "url", "loopback"),
    [
        ("http://lab:8001", "http://lab:8001", False),
        ("lab:8001", "http://lab:8001", False),
        (" lab ", "http://lab", False),
        (" https://Lab.Example.org/ ", "https://lab.example.org", False),
        ("http://lab:8001/api/unet", "http://lab:8001", False),
        ("https://lab/unet/", "https://lab/unet", False),
        ("http://lab:8001/docs", "http://lab:8001", False),
        ("http://127.0.0.1:8001", "http://127.0.0.1:8001", True),
        ("http://[::1]:8001", "http://[::1]:8001", True),
        ("http://localhost", "http://localhost", True),
    ],
)
def test_an_address_is_read(text, url, loopback):
    address = ServerAddress.of(text)
    assert (address.url, address.is_loopback) == (url, loopback)


@pytest.mark.parametrize("text", ["", None, "ftp://lab", "http://", "http://lab:x", "http://me:key@lab"])
def test_what_is_none_is_refused_in_words(text):
    with pytest.raises(ParameterError, match="Write it as http://lab:8001"):
        ServerAddress.of(text)
