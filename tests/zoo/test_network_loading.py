import pytest
import torch
from safetensors.torch import save

from napari_unetseg.errors import ModelError
from napari_unetseg.networks import UNet
from napari_unetseg.zoo.network_loading import load_network
from napari_unetseg.zoo.registry import find_model


def refuse(folder, match):
    """Loading must fail, naming the folder's file."""
    with pytest.raises(ModelError, match=match) as caught:
        load_network(find_model(folder))
    assert str(folder) in str(caught.value)


def test_half_precision_weights_become_a_float32_network(write_model, tensors, tmp_path):
    network = load_network(find_model(write_model(tmp_path / "tiny")))
    assert isinstance(network, UNet)
    assert not network.training
    loaded = network.state_dict()
    assert set(loaded) == set(tensors)
    for key, value in tensors.items():
        assert loaded[key].dtype == (torch.float32 if value.is_floating_point() else torch.int64)
        assert torch.equal(loaded[key], value.to(loaded[key].dtype))
    assert not any(parameter.requires_grad for parameter in network.parameters())


def test_exchanged_weights_are_refused_before_they_are_read(write_model, tmp_path):
    folder = write_model(tmp_path / "tiny")
    (folder / "weights.safetensors").write_bytes(b"not even safetensors")
    refuse(folder, "SHA-256")


def test_one_changed_bit_is_seen(write_model, tmp_path):
    folder = write_model(tmp_path / "tiny")
    content = bytearray((folder / "weights.safetensors").read_bytes())
    content[-1] ^= 1
    (folder / "weights.safetensors").write_bytes(content)
    refuse(folder, "SHA-256")


def test_weights_that_vanish_after_listing_are_named(write_model, tmp_path):
    package = find_model(write_model(tmp_path / "tiny"))
    package.weights.unlink()
    with pytest.raises(ModelError, match="cannot be read") as caught:
        load_network(package)
    assert str(package.weights) in str(caught.value)


def test_only_safetensors_is_understood(write_model, tmp_path):
    refuse(write_model(tmp_path / "tiny", content=b"PK\x03\x04 a pickle in a zip"), "not a safetensors file")


def test_a_missing_tensor_is_named(write_model, tensors, tmp_path):
    del tensors["final_conv.bias"]
    refuse(write_model(tmp_path / "tiny", content=save(tensors)), r"1 missing \(final_conv.bias\)")


def test_an_unexpected_tensor_is_named(write_model, tensors, tmp_path):
    tensors["extra.weight"] = torch.zeros(1)
    refuse(write_model(tmp_path / "tiny", content=save(tensors)), r"1 unexpected \(extra.weight\)")


def test_a_misshapen_tensor_is_named(write_model, tensors, tmp_path):
    tensors["final_conv.bias"] = torch.zeros(5)
    refuse(write_model(tmp_path / "tiny", content=save(tensors)), r"final_conv.bias is \(5,\) instead of \(2,\)")


def test_many_faults_are_counted_not_listed(write_model, tmp_path):
    refuse(write_model(tmp_path / "tiny", content=save({})), r"\d\d missing \(.* and \d+ more\)")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"in_channels": 3, "out_channels": 2, "features": [2, 4], "colour": 1}, "colour"),
        ({"in_channels": 3, "out_channels": 2, "features": [2]}, "features"),
        ({"in_channels": 3, "out_channels": 2, "features": 7}, "int"),
        ({"in_channels": 3, "out_channels": 2, "features": [2, 4], "norm": "group"}, "group"),
        ({"in_channels": 3, "out_channels": 1, "features": [2, 4]}, "'outputs' names 2 heads"),
        ({"in_channels": 1, "out_channels": 2, "features": [2, 4]}, "'input_channels' is 3"),
    ],
)
def test_wrong_architecture_arguments_are_named(write_model, tmp_path, arguments, named):
    refuse(write_model(tmp_path / "tiny", architecture={"name": "unet", "arguments": arguments}), named)


def test_an_image_size_that_the_network_cannot_take_is_named(write_model, tmp_path):
    arguments = {"in_channels": 3, "out_channels": 1, "features": [2, 2, 2, 2, 2, 2]}
    folder = write_model(
        tmp_path / "tiny",
        content=save(UNet(**arguments).state_dict()),
        architecture={"name": "unet", "arguments": arguments},
        outputs=[{"name": "foreground"}],
        decoder="threshold",
        image_size=[16, 64],
    )
    refuse(folder, r"model\.yaml: 'image_size' 16 x 64 is too small for this network, which takes 32 x 32 and more")
