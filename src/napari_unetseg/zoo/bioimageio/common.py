"""What both versions of the specification state in the same way, as small models of the keys that matter here.

Keys that change nothing in what a network computes are passed over. What does change it has a type, and an unknown
value is refused where it is translated, by its name.
"""

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from napari_unetseg.zoo.bioimageio.description import FileOf, WeightsEntry

MOST_TENSORS = 16
LONGEST_NAME = 300
LONGEST_TEXT = 20_000


class Stated(BaseModel):
    """Keys that are known; others are left alone."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


def _as_text(value: Any) -> Any:
    # YAML makes a number of 2D or a truth of "on"; they were names.
    return str(value) if isinstance(value, bool | int | float) else value


def _as_file(value: Any) -> Any:
    return {"source": value} if isinstance(value, str) else value


def _lower(value: str | None) -> str:
    return (value or "").lower()


Name = Annotated[str, BeforeValidator(_as_text), Field(max_length=LONGEST_NAME)]
Text = Annotated[str, BeforeValidator(_as_text), Field(max_length=LONGEST_TEXT)]


class StatedFile(Stated):
    """A path or an address, with its hash where it is stated."""

    source: str = Field(min_length=1, max_length=2000)
    sha256: Annotated[str | None, AfterValidator(_lower)] = None

    def file(self) -> FileOf:
        """Return it in the form of every version."""
        return FileOf(self.source, self.sha256 or "")


AnyFile = Annotated[StatedFile, BeforeValidator(_as_file)]


class Step(Stated):
    """A step of the preprocessing or of the postprocessing; what it states stands under ``kwargs``."""

    stated: dict[str, Any] | None = None

    @model_validator(mode="before")
    @classmethod
    def _renamed(cls, value: Any) -> Any:
        # A field of that name would be in the way of Python's own.
        return {**value, "stated": value.get("kwargs")} if isinstance(value, Mapping) else value


class Author(Stated):
    """Somebody who made the model."""

    name: Name


class Citation(Stated):
    """What to cite."""

    text: Text = ""
    doi: Name | None = None
    url: Text | None = None

    def line(self) -> str:
        """Return it in a line."""
        where = f"https://doi.org/{self.doi}" if self.doi else self.url
        return ", ".join(filter(None, (self.text.strip(), where)))


class General(Stated):
    """What is stated of a model apart from what it computes."""

    format_version: str
    name: Name
    description: Text = ""
    authors: list[Author] = Field(default_factory=list, max_length=1000)
    cite: list[Citation] = Field(default_factory=list, max_length=1000)
    license: Name | None = None
    covers: list[AnyFile] = Field(default_factory=list, max_length=100)
    documentation: AnyFile | None = None
    training_data: Any = None
    config: dict[str, Any] = Field(default_factory=dict)
    weights: dict[str, StatedFile | None]

    @field_validator("authors", "cite", "covers", "config", mode="before")
    @classmethod
    def _nothing_is_empty(cls, value: Any) -> Any:
        return value if value is not None else []

    @field_validator("config", mode="before")
    @classmethod
    def _no_config_is_empty(cls, value: Any) -> Any:
        return value or {}

    def general(self) -> dict[str, Any]:
        """Return the fields of a `Description` that are the same in every version."""
        documents = self.documentation
        return {
            "format_version": self.format_version,
            "name": self.name,
            "description": self.description,
            "authors": tuple(author.name for author in self.authors),
            "citations": tuple(filter(None, (citation.line() for citation in self.cite))),
            "licence": self.license or "unknown",
            "training_data": _title(self.training_data),
            "cover": next((cover.file() for cover in self.covers if _is_picture(cover.source)), None),
            "documentation": documents.file() if documents else None,
            "weights": tuple(WeightsEntry(kind, entry.file()) for kind, entry in self.weights.items() if entry),
            "config": self.config,
        }


def _title(training_data: Any) -> str:
    if isinstance(training_data, Mapping):
        training_data = training_data.get("name") or training_data.get("id")
    return training_data[:LONGEST_NAME] if isinstance(training_data, str) else ""


def _is_picture(source: str) -> bool:
    return PurePosixPath(source).suffix.lower() in (".png", ".jpg", ".jpeg")
