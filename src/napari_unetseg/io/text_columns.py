"""Tables of words and figures, as lines of text."""

from collections.abc import Sequence


def in_columns(rows: Sequence[Sequence[str]], left: int) -> list[str]:
    """Line up rows of the same length, a line each; the first `left` columns are words, the others figures."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(
            cell.ljust(width) if column < left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
