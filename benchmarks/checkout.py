"""A checkout of this repository, run in processes of its own; for `compare_checkouts.py`."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

MAIN = Path(__file__).with_name("compare_checkouts.py")


@dataclass(frozen=True)
class Checkout:
    """One side of the comparison, with a home of its own for settings and kept files."""

    side: str
    folder: Path
    scratch: Path

    @property
    def environment(self) -> dict[str, str]:
        """Variables of its processes: its own source and home, none of the user's settings."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("UNET_", "NAPARI_UNETSEG"))}
        kept.pop("PYTHONDONTWRITEBYTECODE", None)
        home = self.scratch / self.side
        homes = {f"XDG_{kind}_HOME": str(home / kind.lower()) for kind in ("CONFIG", "DATA", "CACHE", "STATE")}
        return (
            kept
            | homes
            | {
                "PYTHONPATH": os.pathsep.join(
                    (str(self.folder / "src"), *filter(None, [os.environ.get("PYTHONPATH")]))
                ),
                "PYTHONPYCACHEPREFIX": str(self.scratch / "compiled"),
                "NAPARI_CONFIG": str(home / "napari.yaml"),
                "UNET_WINDOW_LANGUAGE": "en",
            }
        )

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command of `napari-unetseg`."""
        line = [sys.executable, "-m", "napari_unetseg", *arguments]
        return subprocess.run(  # noqa: S603 (this package)
            line, capture_output=True, text=True, env=self.environment, cwd=self.scratch, check=False
        )

    def start(self, what: str) -> subprocess.Popen[str]:
        """Start a measurement in a process that imports the package of this checkout."""
        line = [sys.executable, str(MAIN), str(self.folder), str(self.folder), "--measure", what]
        return subprocess.Popen(  # noqa: S603 (our own file)
            line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=self.environment, cwd=self.scratch
        )

    def plain(self, text: str) -> str:
        """Return a text without the paths that differ between the sides."""
        return text.replace(str(self.scratch / self.side), "HOME").replace(str(self.folder), "CHECKOUT")


def say(text: str) -> None:
    """Write to the standard output at once."""
    sys.stdout.write(text)
    sys.stdout.flush()
