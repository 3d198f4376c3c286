"""How images are dealt into the folds of a cross-validation: a group of like images is never divided.

Each fold is scored by a network that was trained on the others. Were images of one experiment in two folds, that
network would have seen what it is scored on.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from napari_unetseg.training.dataset import DatasetError, Pair, read_words_of_stems

LEAST_FOLDS = 2


def deal(groups: Mapping[str, str], kinds: Mapping[str, str], most: int) -> list[tuple[str, ...]]:
    """Deal whole groups into folds, the largest first, so that every kind of image is spread over them.

    The same groups are always dealt alike.

    Parameters
    ----------
    groups, kinds
        Group and kind of each stem.
    most
        How many folds there are, unless there are fewer groups.

    Returns
    -------
    list of tuple of str
        The stems of each fold, sorted; none is empty.

    Raises
    ------
    DatasetError
        If there are not two groups.
    """
    contents = {group: Counter[str]() for group in groups.values()}
    for stem, group in groups.items():
        contents[group][kinds[stem]] += 1
    if len(contents) < LEAST_FOLDS:
        raise DatasetError(
            f"All {len(groups)} images are in one group of like images, so that none can be held out together. "
            "Say in a file which images belong together (columns 'stem' and 'group'), and name it with --groups."
        )
    of_kind = Counter(kinds[stem] for stem in groups)
    folds = [Counter[str]() for _ in range(min(most, len(contents)))]
    place: dict[str, int] = {}
    for group in sorted(contents, key=lambda name: (-contents[name].total(), name)):
        content = contents[group]

        def crowding(fold: Counter[str], content: Counter[str] = content) -> tuple[float, int]:
            return sum(fold[kind] * count / of_kind[kind] for kind, count in content.items()), fold.total()

        place[group] = min(range(len(folds)), key=lambda index: (*crowding(folds[index]), index))
        folds[place[group]].update(content)
    return [
        tuple(sorted(stem for stem, group in groups.items() if place[group] == index)) for index in range(len(folds))
    ]


def read_groups(path: Path, pairs: Sequence[Pair]) -> dict[str, str]:
    """Read the group of each stem from a CSV file with the columns ``stem`` and ``group``.

    Raises
    ------
    DatasetError
        If the file cannot be read, names images that are not there or one of them twice, or leaves images out.
    """
    groups: dict[str, str] = {}
    for line, stem, group in read_words_of_stems(path, "group"):
        if not (stem and group):
            lacking = f"{stem!r} has no group" if stem else f"group {group!r} has no stem"
            raise DatasetError(f"{path}: line {line}: {lacking}. Complete the line, or remove it.")
        if stem in groups:
            raise DatasetError(f"{path}: line {line}: {stem!r} has a group already. Name each image once.")
        groups[stem] = group
    there = {pair.stem for pair in pairs}
    for faulty, fault, remedy in (
        (groups.keys() - there, "are not among the images", "Remove them, or correct their names"),
        (there - groups.keys(), "have no group", "Give each image a group"),
    ):
        if faulty:
            raise DatasetError(f"{path}: {len(faulty)} stems {fault} ({', '.join(sorted(faulty)[:5])}). {remedy}.")
    return groups
