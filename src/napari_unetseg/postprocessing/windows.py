"""Parts of an image: rows and columns, as slices with a start and a stop."""

Window = tuple[slice, ...]


def grown(window: Window, by: int, shape: tuple[int, ...]) -> Window:
    """Return a window with so many pixels more on each side, as far as an image (Y, X) of that shape goes."""
    return tuple(
        slice(max(side.start - by, 0), min(side.stop + by, length)) for side, length in zip(window, shape, strict=True)
    )


def within(window: Window, outer: Window) -> Window:
    """Return the same pixels, counted from the first row and column of another window."""
    return tuple(
        slice(side.start - around.start, side.stop - around.start) for side, around in zip(window, outer, strict=True)
    )
