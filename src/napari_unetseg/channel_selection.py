"""The channels of an image that a network gets: taken, put in order, or combined, and no other number than it takes."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from napari_unetseg.channels import ChannelChoice, ChannelPart, Combination, example_by_role
from napari_unetseg.errors import ImageError
from napari_unetseg.image import Image, for_numpy
from napari_unetseg.language import Sentence
from napari_unetseg.lazy_array import LazyArray

_MOST_NAMED = 12


def choose_channels(image: Image, choice: ChannelChoice | None, inputs: int, roles: Sequence[str]) -> Image:
    """Give a network the channels that were chosen, or those that its roles name, and no other number than it takes.

    Parameters
    ----------
    image
        One plane or a stack.
    choice
        What somebody wants; None: what the image has.
    inputs, roles
        How many channels the network takes, and what they are called, as its card has them. Without roles, one channel
        is repeated for a network of three, which takes colours.

    Raises
    ------
    ImageError
        If there is no such channel, or another number of them than the network takes; the message names both.
    """
    by_role = bool(roles) or inputs not in (1, 3)
    if choice is None:
        return _by_role(image, inputs, roles) if by_role else image
    ordered = choice.in_order(roles, image.name)
    count = len(ordered.parts)
    if count != inputs and (count > 1 or by_role):
        raise ImageError(_wrong_number(image, count, inputs, roles))
    return replace(take_channels(image, ordered), chosen=True)


def take_channels(image: Image, choice: ChannelChoice) -> Image:
    """Take the channels from an image, which is read no further than it has to be.

    Returns
    -------
    Image
        Grey where there is one part; else with an axis C of as many channels as there are parts, where that of the
        image was, or before Y.

    Raises
    ------
    ImageError
        If a channel does not exist, or a name fits several.
    """
    found = [(part.combination, tuple(_find(name, image) for name in part.names)) for part in choice.parts]
    if len(found) == 1 and len(found[0][1]) == 1:
        return image.take_channel(found[0][1][0])
    whole = _with_axis(image)
    at = whole.axes.index("C")
    array = _combined(whole.array, at, found, lazy=bool(image.stack_axes))
    if len(found) > 1:
        return replace(whole, array=array, rgb=False, channels=tuple(part.title for part in choice.parts))
    # The axis of length 1 is taken away again, as that of a single channel is.
    return replace(whole, array=array, rgb=False, channels=()).take_channel(0)


def recorded_channels(image: Image, channel: int | None, channels: str | None) -> Image:
    """Take the channels that a record says were segmented, which has them in the order of the network's input.

    Parameters
    ----------
    image
        One plane or a stack.
    channel, channels
        As the record has them; None where that was not said.

    Raises
    ------
    ImageError
        If there is no such channel.
    """
    if channels is not None:
        return take_channels(image, ChannelChoice.parse(channels))
    return image if channel is None else image.take_channel(channel)


def channel_names(image: Image) -> tuple[str, ...]:
    """Return what the channels of an image are called, each by its number where it has no name."""
    count = int(image.array.shape[image.axes.index("C")]) if "C" in image.axes else 1
    names = image.channels if len(image.channels) == count else ("",) * count
    return tuple(name or str(number) for number, name in enumerate(names))


def roles_by_name(names: Sequence[str], roles: Sequence[str]) -> tuple[int, ...] | None:
    """Return the number of the channel that is called as each role is; None unless every role has exactly one."""
    plain = [name.strip().casefold() for name in names]
    if any(plain.count(role.casefold()) != 1 for role in roles):
        return None
    return tuple(plain.index(role.casefold()) for role in roles)


def _by_role(image: Image, inputs: int, roles: Sequence[str]) -> Image:
    """Give a network with roles the channels that are called so, else those of an image that has as many."""
    names = channel_names(image)
    found = roles_by_name(names, roles) if roles else None
    if found is not None:
        parts = tuple(ChannelPart((names[number],)) for number in found)
        return replace(take_channels(image, ChannelChoice(parts)), chosen=True)
    if len(names) == inputs:
        return replace(image, chosen=True)
    if inputs == 1 or (image.rgb and inputs == 3):
        return image
    raise ImageError(_wrong_number(image, len(names), inputs, roles))


def _wrong_number(image: Image, count: int, inputs: int, roles: Sequence[str]) -> str:
    names = channel_names(image)
    if roles:
        return Sentence(
            "{image}: number of channels for the model: {count}; it takes {n}: {roles}. The image has {channels}. Say "
            "which is which in the choice of channels, such as {example}.",
            image=image.name,
            n=inputs,
            roles=", ".join(roles),
            count=count,
            channels=_listed(image),
            example=example_by_role(roles, names),
        )
    return Sentence(
        "{image}: number of channels for the model: {count}; it takes {n}. The image has {channels}. Name as many as "
        "the model takes, in its order, in the choice of channels.",
        image=image.name,
        n=inputs,
        count=count,
        channels=_listed(image),
    )


def _find(name: str, image: Image) -> int:
    """Return the number of the channel that is meant."""
    names = channel_names(image)
    named = image.channels if len(image.channels) == len(names) else ()
    plain = name.strip().casefold()
    for fits in (
        [at for at, one in enumerate(named) if one == name],
        [at for at, one in enumerate(named) if one.strip().casefold() == plain],
        # Python refuses to read numbers of thousands of digits.
        [int(plain)] if plain.isdecimal() and len(plain) < 10 and int(plain) < len(names) else [],
        [at for at, one in enumerate(named) if plain and one.strip().casefold().startswith(plain)],
    ):
        if len(fits) == 1:
            return fits[0]
        if fits:
            raise ImageError(
                Sentence(
                    "{image}: {wanted} fits several of its channels: {channels}. Write the whole name, or the number, "
                    "counted from 0.",
                    image=image.name,
                    wanted=repr(name),
                    channels=", ".join(f"{at}: {names[at]}" for at in fits[:_MOST_NAMED]),
                )
            )
    raise ImageError(
        Sentence(
            "{image}: there is no channel {wanted}; it has {channels}.",
            image=image.name,
            wanted=repr(name),
            channels=_listed(image),
        )
    )


def _listed(image: Image) -> str:
    """Say which channels there are: each with its number, and its name where it has one."""
    names = channel_names(image)
    words = [name if name == str(at) else f"{at}: {name}" for at, name in enumerate(names)]
    return ", ".join([*words[:_MOST_NAMED], *["..."] * (len(words) > _MOST_NAMED)])


def _with_axis(image: Image) -> Image:
    """Give a grey image an axis of its one channel, before Y."""
    if "C" in image.axes:
        return image
    at = image.axes.index("Y")
    array = for_numpy(image.array)
    return replace(image, array=array[(*[slice(None)] * at, None)], axes=f"{image.axes[:at]}C{image.axes[at:]}")


def _combined(
    array: NDArray[Any], at: int, parts: Sequence[tuple[Combination | None, tuple[int, ...]]], *, lazy: bool
) -> NDArray[Any]:
    """Return an array whose axis `at` has the parts; those in memory are computed at once, unless they are many."""
    dtype = _sum_dtype(np.dtype(array.dtype), max([1, *(len(numbers) for how, numbers in parts if how == "sum")]))

    def read(box: tuple[slice, ...]) -> NDArray[Any]:
        planes = [
            _one_of(how, [np.asarray(array[(*box[:at], slice(n, n + 1), *box[at + 1 :])]) for n in numbers], dtype)
            for how, numbers in parts[box[at]]
        ]
        return np.concatenate(planes, at)

    shape = (*array.shape[:at], len(parts), *array.shape[at + 1 :])
    if isinstance(array, np.ndarray) and not isinstance(array, np.memmap) and not lazy:
        return read(tuple(map(slice, (0,) * len(shape), shape)))
    stored = array.chunks if isinstance(array, LazyArray) else None
    chunks = None if stored is None else (*stored[:at], 1, *stored[at + 1 :])
    return cast("NDArray[Any]", LazyArray(read, shape, dtype, chunks))


def _one_of(how: Combination | None, planes: list[NDArray[Any]], dtype: np.dtype[Any]) -> NDArray[Any]:
    combine: Callable[..., NDArray[Any]] = np.add if how == "sum" else np.maximum
    found = planes[0].astype(dtype)
    for plane in planes[1:]:
        combine(found, plane.astype(dtype), out=found)
    return found


def _sum_dtype(dtype: np.dtype[Any], count: int) -> np.dtype[Any]:
    """Return a type that holds the sum of so many values."""
    if count == 1 or dtype.kind == "f":
        return dtype
    ends = (0, 1) if dtype.kind == "b" else (int(np.iinfo(dtype).min), int(np.iinfo(dtype).max))
    for name in ("u1", "u2", "u4") if ends[0] == 0 else ("i2", "i4", "i8"):
        held = np.iinfo(name)
        if held.min <= count * ends[0] and count * ends[1] <= held.max:
            return np.dtype(name)
    return np.dtype(np.float64)
