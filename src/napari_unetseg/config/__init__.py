"""What a user sets once: a file, environment variables, and where each value comes from. Imports no torch.

`settings` declares every key with its type, default and description. `load_settings` puts together what `environment`
and `file` read, variables before the file before the defaults, and remembers the origin of each value. `keys` are the
dotted names of settings and their variables, and `template` is a file with every key explained.
"""

from napari_unetseg.config.loading import LoadedSettings as LoadedSettings
from napari_unetseg.config.loading import load_settings as load_settings
from napari_unetseg.config.settings import Settings as Settings
