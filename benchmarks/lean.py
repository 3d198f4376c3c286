"""Stand-ins for small libraries, where a machine that is only there to be measured on lacks them."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def use_stand_ins() -> None:
    """Let Python find a stand-in for whatever it finds nowhere else: what is installed comes first.

    The same goes for the scripts of this folder, one of which has the name of a library.
    """
    others = [entry for entry in sys.path if not entry or Path(entry).resolve() != HERE]
    sys.path[:] = [*others, str(HERE), str(HERE / "stand_ins")]
