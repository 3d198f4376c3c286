"""Stand-ins for small libraries, where a machine that is only there to be measured on lacks them."""

import sys
from pathlib import Path

STAND_INS = Path(__file__).parent / "stand_ins"


def use_stand_ins() -> None:
    """Let Python find a stand-in for whatever it finds nowhere else: what is installed comes first."""
    if str(STAND_INS) not in sys.path:
        sys.path.append(str(STAND_INS))
