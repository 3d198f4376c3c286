"""Arguments of the verbs that no pydantic model describes: each of a wrong kind is an error of ours that names it."""

from collections.abc import Collection, Iterable
from os import PathLike
from typing import Any

from napari_unetseg.errors import ParameterError
from napari_unetseg.image import Image
from napari_unetseg.language import Sentence


def check_model(model: Any) -> None:
    """Refuse what is neither a name nor a path; None is no model of its own.

    Raises
    ------
    ParameterError
        The message shows what was given.
    """
    if model is not None and not (isinstance(model, str | PathLike) and str(model)):
        raise ParameterError(Sentence("model = {value!r}: give the name of a model, or the path of one.", value=model))


def check_models(models: Any) -> None:
    """Refuse what is not several models: one name alone, or what holds nothing; None stands for all.

    Raises
    ------
    ParameterError
        The message shows what was given.
    """
    is_one = isinstance(models, str | bytes | PathLike) or not isinstance(models, Iterable)
    if models is not None and is_one:
        check_model(models)
        raise ParameterError(
            Sentence("{name} = {value!r}: it must be {kind}, or None.", name="models", value=models, kind="list")
        )


def check_callbacks(**callbacks: Any) -> None:
    """Refuse what cannot be called, by the names of the arguments; None stands for nothing to call.

    Raises
    ------
    ParameterError
        The message names the argument.
    """
    for name, callback in callbacks.items():
        if callback is not None and not callable(callback):
            raise ParameterError(Sentence("{name} = {value!r}: give a function, or None.", name=name, value=callback))


def check_parts(also: Any) -> None:
    """Refuse what is not a collection of parts of a result, by their names.

    Raises
    ------
    ParameterError
        The message shows what was given.
    """
    known = ("contours", "measurements", "confidence")
    if isinstance(also, str) or not isinstance(also, Collection) or any(part not in known for part in also):
        raise ParameterError(
            Sentence(
                "also = {value!r}: name any of {parts}, as in [{example!r}].",
                value=also,
                parts=", ".join(known),
                example=known[0],
            )
        )


def check_images(images: Any) -> None:
    """Refuse what is not several images: one image alone, a path, or what holds nothing.

    Raises
    ------
    ParameterError
        The message says what to give.
    """
    is_one = isinstance(images, Image | str | bytes | PathLike) or getattr(images, "ndim", 3) < 3
    if is_one or not isinstance(images, Iterable):
        raise ParameterError(
            Sentence(
                "images: give a list of images, and one image alone as [image]; a {kind} is none.",
                kind=type(images).__name__,
            )
        )


def check_instance(name: str, value: Any, kind: type) -> None:
    """Refuse what is neither None nor of a kind.

    Raises
    ------
    ParameterError
        The message names argument and kind.
    """
    if value is not None and not isinstance(value, kind):
        raise ParameterError(
            Sentence("{name} = {value!r}: it must be {kind}, or None.", name=name, value=value, kind=kind.__name__)
        )
