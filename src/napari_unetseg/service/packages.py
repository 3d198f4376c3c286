"""The models that a service was asked for, found once each."""

from pathlib import Path

from napari_unetseg.config import Settings
from napari_unetseg.service.configured import find_configured
from napari_unetseg.zoo.registry import ModelPackage


class Packages:
    """Finds models and remembers them; any thread may call any method.

    Parameters
    ----------
    model
        The one that is meant where none is named; see `find_configured`.
    settings
        Those of the service.

    Attributes
    ----------
    own
        The package of that model.

    Raises
    ------
    ModelError
        If there is no such model.
    """

    def __init__(self, model: str | Path | None, settings: Settings) -> None:
        self._settings = settings.unet
        self.own = find_configured(model, self._settings)
        self._others: dict[str, ModelPackage] = {}

    def find(self, model: str | Path | None) -> ModelPackage:
        """Return a model by name or path.

        Raises
        ------
        ModelError
            If there is no such model.
        """
        if model is None:
            return self.own
        if str(model) not in self._others:
            self._others[str(model)] = find_configured(model, self._settings)
        return self._others[str(model)]

    def read_again(self, package: ModelPackage) -> ModelPackage:
        """Return a package as it is on disk now.

        Raises
        ------
        ModelError
            If it is not there any more.
        """
        return find_configured(package.source, self._settings)

    def replace(self, package: ModelPackage) -> None:
        """Mean this package, from now on, by every name of the one at its place."""
        if self.own.source == package.source:
            self.own = package
        for name, known in list(self._others.items()):
            if known.source == package.source:
                self._others[name] = package
