"""Make the pictures of README and docs, from a real viewer and real runs.

Usage::

    xvfb-run -a -s "-screen 0 1600x1000x24" python tools/pictures [NAME ...]

Without a name, all are made. They are written to ``docs/images``.
"""

import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "images"


def _main(names: list[str]) -> None:
    with tempfile.TemporaryDirectory() as home:
        _borrow_home(Path(home))
        pictures = _pictures()
        unknown = [name for name in names if name not in pictures]
        if unknown:
            sys.exit(f"There is no picture {unknown[0]!r}. There are: {', '.join(pictures)}.")
        os.chdir(home)
        for name in names or pictures:
            pictures[name](FOLDER)


def _borrow_home(home: Path) -> None:
    """Let nothing that somebody chose on this computer be in a picture, before napari reads it."""
    for variable in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME"):
        os.environ[variable] = str(home / variable.lower())
    os.environ["NAPARI_CONFIG"] = str(home / "napari.yaml")
    os.environ["UNET_WINDOW_LANGUAGE"] = "en"
    os.environ["PYTHON_KEYRING_BACKEND"] = "keyring.backends.fail.Keyring"


def _pictures() -> dict[str, Callable[[Path], None]]:
    from first_steps import first_steps, folder_window, health, server, window
    from gallery import gallery
    from run_film import run_film

    return {
        "run": run_film,
        "window": window,
        "health": health,
        "server": server,
        "steps": first_steps,
        "folder": folder_window,
        "gallery": gallery,
    }


if __name__ == "__main__":
    _main(sys.argv[1:])
