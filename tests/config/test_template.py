import yaml

from napari_unetseg.config import Settings, load_settings
from napari_unetseg.config.keys import dotted, fields, nested
from napari_unetseg.config.template import template


def test_as_written_it_sets_nothing(write):
    assert load_settings(write(template())).settings == Settings()


def test_with_every_key_in_force_it_states_the_defaults(write):
    text = template()
    path = write("\n".join(line.removeprefix("# ") for line in text[text.index("# unet:") :].splitlines()))
    loaded = load_settings(path)
    assert loaded.settings == Settings()
    assert all(origin.startswith(str(path)) for origin in loaded.origins.values())


def test_every_key_is_explained():
    text = " ".join(template().replace("#", " ").split())
    for key, field in fields(Settings):
        assert field.description, dotted(key)
        assert field.description in text


def test_keys_nest_as_they_are_written():
    assert nested({("a", "b"): 1, ("a", "c"): 2, ("d",): 3}) == yaml.safe_load("{a: {b: 1, c: 2}, d: 3}")
