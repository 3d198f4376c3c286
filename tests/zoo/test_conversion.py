import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from napari_unetseg.errors import ModelError
from napari_unetseg.image import Image
from napari_unetseg.inference.normalisation import normalise
from napari_unetseg.networks import UNet
from napari_unetseg.postprocessing.decoding import decode
from napari_unetseg.service import SegmentationService
from napari_unetseg.zoo import conversion
from napari_unetseg.zoo.card import IMAGENET, read_card
from napari_unetseg.zoo.conversion import convert_checkpoint, largest_difference
from napari_unetseg.zoo.published import PUBLISHED


@pytest.fixture
def source(tmp_path, published_checkpoint):
    published_checkpoint(tmp_path / "best.pth")
    return tmp_path / "best.pth"


def test_what_is_left_is_the_weights_that_work_and_a_card(source, tmp_path):
    converted = convert_checkpoint(source, tmp_path / "My model")
    wanted = ["known_answer.safetensors", "model.yaml", "weights.safetensors"]
    assert sorted(path.name for path in converted.folder.iterdir()) == wanted
    assert read_card(converted.folder / "model.yaml") == converted.card
    assert (converted.card.name, converted.card.display_name) == ("my_model", "My model")
    assert len(converted.dropped) == 6
    assert all(key.startswith("downs.1.") for key in converted.dropped)
    assert set(converted.extras) == {"epoch", "optimizer_state_dict", "args"}
    assert converted.bytes_before == source.stat().st_size
    assert converted.bytes_after == (converted.folder / "weights.safetensors").stat().st_size
    assert converted.bytes_after < converted.bytes_before / 2


def test_float32_changes_nothing_and_float16_little(source, tmp_path):
    assert largest_difference(convert_checkpoint(source, tmp_path / "exact")) == 0
    rounded = convert_checkpoint(source, tmp_path / "half", dtype=torch.float16)
    assert 0 < largest_difference(rounded) < 0.01
    assert load_file(rounded.folder / "weights.safetensors")["final_conv.weight"].dtype == torch.float16


def test_a_difference_is_seen(source, tmp_path, monkeypatch):
    load = conversion.load_checkpoint

    def changed(path):
        network, card = load(path)
        network.final_conv.bias += 1
        return network, card

    converted = convert_checkpoint(source, tmp_path / "model")
    monkeypatch.setattr(conversion, "load_checkpoint", changed)
    assert largest_difference(converted) > 0.1


def test_labels_are_those_of_the_raw_network(tmp_path, published_checkpoint):
    network = published_checkpoint(tmp_path / "best.pth")
    coarse = np.random.default_rng(0).integers(0, 256, (7, 9, 3), np.uint8)
    pixels = coarse.repeat(10, axis=0).repeat(10, axis=1)
    folder = convert_checkpoint(tmp_path / "best.pth", tmp_path / "mine").folder
    card = read_card(folder / "model.yaml")
    with torch.inference_mode():
        logits = network(torch.from_numpy(normalise(Image.of(pixels), card.normalisation, 3).array)[None])
    expected = decode(logits.sigmoid()[0].numpy(), card.heads, card.parameters)
    assert expected.max() > 1
    for model in (folder, tmp_path / "best.pth"):
        assert np.array_equal(SegmentationService(model, "cpu").segment(pixels).labels, expected)


def test_fields_that_the_file_cannot_tell_are_taken_over(source, tmp_path):
    changes = {"name": "mine", "image_size": (64, 64), "normalisation": IMAGENET, "licence": "CC0-1.0"}
    card = convert_checkpoint(source, tmp_path / "model", changes).card
    assert (card.name, card.image_size, card.normalisation, card.licence) == ("mine", (64, 64), IMAGENET, "CC0-1.0")


def test_a_wrong_field_is_named_and_nothing_is_written(source, tmp_path):
    with pytest.raises(ModelError, match=r"best\.pth: its model card would be wrong: name"):
        convert_checkpoint(source, tmp_path / "model", {"name": "Two words"})
    assert not (tmp_path / "model").exists()


def test_an_image_size_that_the_network_cannot_take_is_refused(tmp_path):
    torch.save(UNet(3, 1, (2, 4, 4, 4, 4, 4), "instance").state_dict(), tmp_path / "a.pth")
    with pytest.raises(ModelError, match=r"a\.pth: the image size 32 x 32 is too small .* 64 x 64 and more"):
        convert_checkpoint(tmp_path / "a.pth", tmp_path / "model", {"image_size": (32, 32)})
    assert not (tmp_path / "model").exists()
    convert_checkpoint(tmp_path / "a.pth", tmp_path / "model", {"image_size": (32, 64)})


def test_a_model_is_not_overwritten(source, tmp_path):
    convert_checkpoint(source, tmp_path / "model")
    before = (tmp_path / "model" / "model.yaml").read_bytes()
    with pytest.raises(ModelError, match="there is a model already"):
        convert_checkpoint(source, tmp_path / "model", {"licence": "other"})
    assert (tmp_path / "model" / "model.yaml").read_bytes() == before


def test_a_file_that_would_be_replaced_is_spared(source, tmp_path):
    (tmp_path / "model").mkdir()
    file = tmp_path / "model" / "weights.safetensors"
    file.write_bytes(b"a checkpoint of that name")
    with pytest.raises(ModelError, match=r"weights\.safetensors: this file would be replaced"):
        convert_checkpoint(source, tmp_path / "model")
    assert file.read_bytes() == b"a checkpoint of that name"


def test_weights_that_give_no_numbers_leave_no_model(source, tmp_path):
    state = UNet(3, 1, (2, 4)).state_dict() | {"final_conv.bias": torch.tensor([torch.nan])}
    torch.save(state, source)
    with pytest.raises(ModelError, match="not numbers"):
        convert_checkpoint(source, tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_weights_beyond_half_precision_are_refused(tmp_path):
    network = UNet(3, 1, (2, 4))
    with torch.no_grad():
        network.final_conv.weight[0, 0] = 1e5
    torch.save(network.state_dict(), tmp_path / "a.pth")
    with pytest.raises(ModelError, match=r"a\.pth: the weight final_conv\.weight is too large"):
        convert_checkpoint(tmp_path / "a.pth", tmp_path / "half", dtype=torch.float16)
    assert convert_checkpoint(tmp_path / "a.pth", tmp_path / "full").bytes_after > 0


def test_the_folder_of_a_published_model_gives_its_name_only_to_that_model(source, tmp_path, monkeypatch):
    card = convert_checkpoint(source, tmp_path / "hrnet").card
    assert (card.name, card.display_name) == ("hrnet", "hrnet")
    lightweight = PUBLISHED["attention_unet_lightweight"]
    assert conversion._names(lightweight.name, lightweight.card(card.weights)) == {
        "name": lightweight.name,
        "display_name": lightweight.display_name,
        "description": lightweight.description,
    }
