import pytest

from napari_unetseg.plugin.parts.server_names import is_server, server_name


@pytest.mark.parametrize(
    ("device", "expected"), [("auto", False), ("cpu", False), ("http://lab:8001", True), ("https://lab", True)]
)
def test_an_address_among_the_devices_is_a_server(device: str, expected: bool) -> None:
    assert is_server(device) is expected


@pytest.mark.parametrize(
    ("address", "name"),
    [("http://lab:8001", "lab:8001"), ("https://lab.org/unet", "lab.org"), ("http://[::1]:80", "[::1]:80")],
)
def test_people_call_a_server_by_its_host_and_port(address: str, name: str) -> None:
    assert server_name(address) == name
