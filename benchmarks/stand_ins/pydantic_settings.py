"""Enough of pydantic-settings for sources that are asked in turn, for machines without it; see `lean.py`."""

from typing import Any

from pydantic import BaseModel, ConfigDict
from pydantic.fields import FieldInfo

SettingsConfigDict = ConfigDict


class PydanticBaseSettingsSource:
    """Where values come from."""

    def __init__(self, settings_cls: type["BaseSettings"]) -> None:
        self.settings_cls = settings_cls

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Return a value, its name and whether it is complex."""
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        """Return all values."""
        return {}


class _Given(PydanticBaseSettingsSource):
    """What was passed to the class."""

    def __init__(self, settings_cls: type["BaseSettings"], values: dict[str, Any]) -> None:
        super().__init__(settings_cls)
        self._values = values

    def __call__(self) -> dict[str, Any]:
        return self._values


class BaseSettings(BaseModel):
    """A model whose values come from several sources, those of the first before those of the next."""

    def __init__(self, **values: Any) -> None:
        kind = type(self)
        nothing = PydanticBaseSettingsSource(kind)
        sources = kind.settings_customise_sources(kind, _Given(kind, values), nothing, nothing, nothing)
        merged: dict[str, Any] = {}
        for source in reversed(sources):
            _update(merged, source())
        super().__init__(**merged)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type["BaseSettings"],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return the sources in their order."""
        return (init_settings,)


def _update(values: dict[str, Any], others: dict[str, Any]) -> None:
    for name, value in others.items():
        if isinstance(value, dict) and isinstance(values.get(name), dict):
            _update(values[name], value)
        else:
            values[name] = value
