"""Names that a label image can have: every disk and every reader takes them."""

import re

_NOT_A_NAME = re.compile(r"[/\\:*?\"<>|\x00-\x1f]|^[.]|^\s*$|^__")
_LONGEST = 200  # bytes, of the 255 of most disks: names of folders that a run keeps for itself are made of it


def is_label_name(name: str) -> bool:
    """Whether a label image can be called so."""
    return _NOT_A_NAME.search(name) is None and len(name.encode("utf-8", "surrogateescape")) <= _LONGEST
