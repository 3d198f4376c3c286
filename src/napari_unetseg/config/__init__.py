"""What a user sets once: a file, environment variables, and where each value came from. Imports no torch."""

from napari_unetseg.config.loading import Loaded as Loaded
from napari_unetseg.config.loading import load_settings as load_settings
from napari_unetseg.config.settings import Settings as Settings
