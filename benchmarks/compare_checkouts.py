"""Compare what two checkouts find, and how long each takes.

Run with ``python benchmarks/compare_checkouts.py BEFORE AFTER``, in an environment that has the libraries of both; the
package is imported from the ``src`` of either. ``--labels`` or ``--times`` does one half alone, ``--rounds`` says how
often times are taken. What needs a window is measured where there is a display, as under ``xvfb-run -a``.

Labels: every bundled model segments the samples, made-up images in many kinds of files, stacks, and what can be read in
``tests/data`` and ``docs/images`` of BEFORE, with many settings. The digests of labels, probabilities, contours and
tables, and the sentences of refusals, must be the same, and so must what the commands write and say; what is not is
named, and the exit status is 1.

Times: processes of both checkouts take turns, the first one changing from round to round. A first round, which fills
caches, is not counted. A round's time is the median of its repetitions; ratios are those of one round.

Libraries are imported where they are used here, since the time of their import is a part of what is measured.
"""

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    pass

from checkout import Checkout, say
from compare_labels import compare_labels, measure_labels
from compare_times import MEASUREMENTS, compare_times


def measure_here(what: str, checkout: Path) -> None:
    """Measure in this process, and print a line of JSON for each result."""
    if what == "labels":
        models, files = json.load(sys.stdin)
        for case in measure_labels(models, [Path(file) for file in files]):
            say(json.dumps(case) + "\n")
    else:
        for told in MEASUREMENTS[what][0]():
            say(json.dumps(told) + "\n")
            if not sys.stdin.readline():
                break
    imported = Path(str(sys.modules["napari_unetseg"].__file__))
    if not imported.is_relative_to(checkout / "src"):
        sys.stderr.write(f"{imported} was measured, which is not of {checkout}.\n")
        os._exit(1)
    os._exit(0)  # a viewer is still on display, and closing it is not measured


def main() -> None:
    """Compare and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", type=Path, help="checkout to compare with")
    parser.add_argument("after", type=Path, help="checkout that is to find the same")
    parser.add_argument("--labels", action="store_true", help="compare what is found, alone")
    parser.add_argument("--times", action="store_true", help="compare times, alone")
    parser.add_argument("--rounds", type=int, default=7, help="rounds of times")
    parser.add_argument("--measure", choices=["labels", *MEASUREMENTS], help="measure here, for the first checkout")
    arguments = parser.parse_args()
    if arguments.measure:
        measure_here(arguments.measure, arguments.before)
    both, same = arguments.labels == arguments.times, True
    with tempfile.TemporaryDirectory() as scratch:
        sides = [Checkout(side, getattr(arguments, side).resolve(), Path(scratch)) for side in ("before", "after")]
        if both or arguments.labels:
            same = compare_labels(sides)
        if both or arguments.times:
            compare_times(sides, arguments.rounds)
    sys.exit(0 if same else 1)


if __name__ == "__main__":
    main()
