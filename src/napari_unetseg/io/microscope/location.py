"""Which scene of a microscope's file is meant: a path that leads into the file, such as ``a.lif/Series 3``."""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path

from napari_unetseg.errors import ImageError
from napari_unetseg.io.suffixes import MICROSCOPE_SUFFIXES
from napari_unetseg.language import Sentence

_LONGEST = 60
"""Characters of a scene's name that a path keeps: names of results hold that of the file, too."""

_MOST_NAMED = 12
# What Windows refuses in names of files, and what no system shows.
_UNSAFE = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]+')


def is_microscope_file(path: str | Path) -> bool:
    """Whether a file is one of a microscope, by its suffix alone."""
    return Path(path).suffix.lower() in MICROSCOPE_SUFFIXES


def is_microscope_path(path: str | Path) -> bool:
    """Whether a path is that of a microscope's file, or leads to a scene in one that is there."""
    file, word = split_scene_path(path)
    return is_microscope_file(file) and (bool(word) or not file.is_dir())


def split_scene_path(path: str | Path) -> tuple[Path, str]:
    """Divide a path into the file and what is said of the scene: ``a.lif`` and ``Series 3``.

    Returns
    -------
    tuple
        The path itself and ``""`` where it leads into no microscope's file that is there.
    """
    whole = Path(path)
    for part in whole.parents:
        if is_microscope_file(part) and part.is_file():
            return part, whole.relative_to(part).as_posix()
    return whole, ""


def scene_path(file: str | Path, word: str) -> Path:
    """Return the path of a scene, which `split_scene_path` divides again.

    Parameters
    ----------
    file
        The microscope's file.
    word
        One of `scene_words`.
    """
    return Path(file, word)


def scene_words(names: Sequence[str]) -> tuple[str, ...]:
    """Return a word for each scene that a path and the name of a file can hold, each once whatever the case.

    Parameters
    ----------
    names
        Of the scenes, as `MicroscopeFile.scene_names` has them. Those that can be a part of a path are kept.
    """
    words: dict[int, str] = {}
    taken: set[str] = set()
    # Names that need no change come first, so that none of them gives way to one that does.
    for number in sorted(range(len(names)), key=lambda at: (_safe(names[at]) != names[at], at)):
        word = next(form for form in _forms(_safe(names[number]) or str(number)) if _folded(form) not in taken)
        taken.add(_folded(word))
        words[number] = word
    return tuple(words[number] for number in range(len(names)))


def find_scene(names: Sequence[str], word: str, file: str | Path) -> int:
    """Return the number of a scene.

    Parameters
    ----------
    names
        Of the scenes of the file.
    word
        What is said of it: its name, one of `scene_words`, its number, counted from 0, or its name without its folders
        where one scene alone is called so; the first that fits.
        Nothing where there is one scene.
    file
        For messages.

    Raises
    ------
    ImageError
        If nothing is said of several scenes, or if there is no such scene. The message names those there are.
    """
    if not names:
        raise ImageError(Sentence("{path}: holds no image.", path=file))
    words = scene_words(names)
    if not word:
        if len(names) == 1:
            return 0
        raise ImageError(
            Sentence(
                "{path}: holds {n} scenes; choose one by its name or its number, as in {example}. There are {scenes}.",
                path=file,
                n=len(names),
                example=scene_path(file, words[0]),
                scenes=_listed(words),
            )
        )
    for known in (tuple(names), words):
        if word in known:
            return known.index(word)
    if re.fullmatch(r"[0-9]{1,9}", word) and int(word) < len(names):
        return int(word)
    inner = [name.rpartition("/")[2] for name in names]
    if inner.count(word) == 1:
        return inner.index(word)
    raise ImageError(
        Sentence(
            "{path}: has no scene {scene}. There are {scenes}; a number counts from 0.",
            path=file,
            scene=repr(word),
            scenes=_listed(words),
        )
    )


def unique_names(names: Sequence[str | None], kind: str = "Scene") -> tuple[str, ...]:
    """Give each scene a name of its own: where there is none its number, and a number more where another has it.

    Parameters
    ----------
    names
        As the file has them.
    kind
        What a scene is called that has no name, before its number.
    """
    plain = [(name or "").strip() or f"{kind} {number}" for number, name in enumerate(names)]
    known, taken = set(plain), set[str]()
    found: dict[int, str] = {}
    # What the file calls so itself keeps its name.
    for number in sorted(range(len(plain)), key=lambda at: (not (names[at] or "").strip(), at)):
        name = plain[number]
        found[number] = next(form for form in _forms(name) if form not in taken and (form == name or form not in known))
        taken.add(found[number])
    return tuple(found[number] for number in range(len(plain)))


def _forms(name: str) -> Iterator[str]:
    """Return a name, and then others like it without end."""
    yield name
    number = 2
    while True:
        yield f"{name} ({number})"
        number += 1


def _safe(name: str) -> str:
    text = _UNSAFE.sub("_", name)
    text = text[:_LONGEST].rstrip(". ").lstrip(" ")
    return text if text.strip("._") else ""


def _folded(word: str) -> str:
    return unicodedata.normalize("NFC", word).casefold()


def _listed(words: Sequence[str]) -> str:
    shown = ", ".join(f"{number}: {word}" for number, word in enumerate(words[:_MOST_NAMED]))
    return shown if len(words) <= _MOST_NAMED else f"{shown}, …"
