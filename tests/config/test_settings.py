import pytest

from napari_unetseg.config import Settings


def changes(**sections):
    return Settings(unet=sections).unet.card_changes()


def test_by_default_a_card_stays_as_it_is():
    assert changes() == {}


def test_the_published_preprocessing_is_that_of_a_card():
    preprocessing = {"image_size": [256, 256], "normalize": True, "mean": [0.1, 0.2, 0.3], "std": [1, 2, 3]}
    assert changes(preprocessing=preprocessing) == {
        "image_size": (256, 256),
        "normalisation": {"kind": "mean_std", "mean": (0.1, 0.2, 0.3), "std": (1, 2, 3)},
    }


@pytest.mark.parametrize(
    ("preprocessing", "mean", "std"),
    [
        ({"normalize": True}, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        ({"mean": [0.5], "std": [0.5]}, (0.5,), (0.5,)),
        ({"normalize": False, "mean": [0.5], "std": [0.5]}, (0,), (1,)),
        ({"normalize": False}, (0,), (1,)),
    ],
)
def test_what_normalize_means(preprocessing, mean, std):
    assert changes(preprocessing=preprocessing)["normalisation"] == {"kind": "mean_std", "mean": mean, "std": std}


def test_decoder_parameters_come_from_two_sections():
    found = changes(inference={"threshold": 0.0}, postprocessing={"min_size": 0, "fill_holes": False})
    assert found == {"parameters": {"threshold": 0.0, "min_size": 0, "fill_holes": False}}
