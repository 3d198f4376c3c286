"""Measure this package on a graphics card against what the card can do and against plain peers, in one run.

Run with ``python benchmarks/gpu.py``, and with ``--before CHECKOUT`` to measure an older build, too. It needs this
checkout, PyTorch, NumPy, SciPy, scikit-image and pydantic, and takes four minutes at most (``--seconds``): what does
not fit is left out and named. What fails is named, too, and the rest is measured. ``--only`` measures some parts alone,
and ``--device cpu --quick`` tries the script itself.

Measured are the ceilings of the card (copies, products of matrices); the SpheroHQ network alone, eager and compiled;
images of 512 x 512 uint8 RGB to masks, many and one; large images with `nuclei` from pixels to labels, against a
sliding window; 500 images of 512 x 512 from memory to labels, tables and contours; whether labels agree with those of
the CPU; and what is held on the card after models were let go. `gpu_peers.py` says what the peers are, `gpu_service.py`
what is measured of this package, in processes of its own. A compilation in the background is waited for, and how long
it takes is told.

A table is printed last; all of it goes to ``benchmarks/results``, as JSON and as Markdown.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from checkout import Checkout, say
from lean import use_stand_ins

HERE = Path(__file__).resolve().parent
SERVICE = HERE / "gpu_service.py"
EARLY_PEERS = ("ceilings", "network", "plain")
LATE_PEERS = ("sliding", "compiled")
OURS = ("start", "batch", "one", "large", "many", "labels", "memory", "cards")
BEFORE = ("start", "batch", "one", "many", "large")
GRACE_S = 20
"""Seconds that a part may take longer which was begun in time."""
WINDOW = 1376
"""Side of the sliding window: what this package takes where a network is not computed in bands."""
BATCH = "SpheroHQ U-Net, {n} x {side} x {side} RGB to masks, images/s"
ONE = "the same, one image, ms"
LARGE = "nuclei, {side} x {side}, pixels to labels, s"
MANY = "nuclei, {n} x {side} x {side} to labels, tables and contours, images/s"


class Run:
    """Measures part after part until the time is over.

    Attributes
    ----------
    found
        What each part of each side told: ``peers``, ``ours`` and ``before``.
    """

    def __init__(self, arguments: argparse.Namespace, scratch: Path) -> None:
        self.end = time.monotonic() + arguments.seconds
        self.found: dict[str, dict[str, Any]] = {"peers": {}, "ours": {}, "before": {}}
        self._scratch = scratch
        self._only = arguments.only
        quick = arguments.quick
        self.task: dict[str, Any] = {
            "device": arguments.device,
            "models": str(scratch),
            "sizes": [256, 512] if quick else [2048, 4096, 8192],
            "batch": 3 if quick else 64,
            "many": 8 if quick else 500,
            "side": 64 if quick else 512,
            "repeats": 3 if quick else 20,
            "window": 192 if quick else WINDOW,
            "together": 2 if quick else 8,
            "times": 1 if quick else 5,
            "where": True,
            "masks": str(scratch / "masks.npy"),
            "peer_masks": str(scratch / "peer_masks.npy"),
        }

    @property
    def left(self) -> float:
        """Seconds until the time is over."""
        return self.end - time.monotonic()

    def peers(self, parts: tuple[str, ...]) -> None:
        """Measure peers in this process."""
        from gpu_peers import Peers

        peers = Peers(self.task)
        for name in self._chosen(parts):
            begin = time.monotonic()
            if self.left < 0:
                self.found["peers"][name] = {"failed": "the time was over"}
                continue
            try:
                told = getattr(peers, name)()
            except Exception as error:  # whatever it is, the other parts are measured
                told = {"failed": f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"}
            self._note("peers", {"part": name, **told, "took_s": time.monotonic() - begin})
        peers.let_go()

    def service(self, side: str, folder: Path, parts: tuple[str, ...], task: dict[str, Any], seconds: float) -> None:
        """Measure this package, of one checkout, in a process of its own."""
        parts = self._chosen(parts)
        if not parts:
            return
        checkout = Checkout(side, folder, self._scratch)
        seconds = max(min(seconds, self.left), 1)
        line = [sys.executable, str(SERVICE), json.dumps({**task, "parts": parts, "seconds": seconds})]
        errors = self._scratch / "errors.txt"
        with (
            errors.open("w", encoding="utf-8") as errors_file,
            subprocess.Popen(  # noqa: S603 (our own file)
                line,
                stdout=subprocess.PIPE,
                stderr=errors_file,
                text=True,
                env=checkout.environment,
                cwd=self._scratch,
            ) as process,
        ):
            alarm = threading.Timer(seconds + GRACE_S, process.kill)
            alarm.start()
            for text in process.stdout or ():
                if text.startswith("{"):
                    self._note(side, json.loads(text))
            process.wait()
            alarm.cancel()
        for name in parts:
            if name not in self.found[side]:
                said = " ".join(errors.read_text(encoding="utf-8").strip().splitlines()[-1:])
                self._note(side, {"part": name, "failed": f"the process ended ({process.returncode}). {said}".strip()})
        wrong = [told["file"] for told in self.found[side].values() if "file" in told]
        if wrong and not Path(wrong[0]).is_relative_to(folder / "src"):
            raise SystemExit(f"{wrong[0]} was measured, which is not of {folder}.")

    def _chosen(self, parts: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(part for part in parts if part in self._only)

    def _note(self, side: str, told: dict[str, Any]) -> None:
        name = told.pop("part")
        self.found[side][name] = told
        outcome = told.get("failed") or told.get("skipped") or "done"
        say(f"{side}, {name}: {outcome} ({told.get('took_s', 0):.0f} s, {self.left:.0f} s left)\n")


def measure(arguments: argparse.Namespace, scratch: Path) -> dict[str, Any]:
    """Measure everything; return it with rows that compare."""
    run = Run(arguments, scratch)
    card, machine = describe_card(arguments.device), describe()
    from peer_models import find_network

    find_network("unet_spherohq", scratch)
    run.peers(EARLY_PEERS)
    most = arguments.seconds
    run.service("ours", HERE.parent, OURS, run.task, 0.6 * most)
    if arguments.before:
        # An older build may be ten times slower.
        smaller = {**run.task, "many": max(run.task["many"] // 5, 4), "repeats": 3, "sizes": run.task["sizes"][:2]}
        smaller |= {"masks": str(scratch / "masks_before.npy"), "where": False}
        run.service("before", arguments.before.resolve(), BEFORE, smaller, 0.25 * most)
    run.peers(LATE_PEERS)
    from gpu_peers import compare_masks

    dice = compare_masks(Path(run.task["masks"]), Path(run.task["peer_masks"]))
    # Without folders of this machine, which tell nobody anything.
    task = {name: value for name, value in run.task.items() if name not in ("models", "masks", "peer_masks")}
    parts = {side: {name: _without_file(told) for name, told in parts.items()} for side, parts in run.found.items()}
    found = {"machine": machine, "card": card, "task": task, **parts, "dice_to_plain": dice}
    return found | {"rows": rows(run.task, run.found), "seconds": arguments.seconds - run.left}


def _without_file(told: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in told.items() if name != "file"}


def rows(task: dict[str, Any], found: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what is compared: a name, ours, that of the build before, and of the peer, and how much better ours is."""
    ours, before, peers = found["ours"], found["before"], found["peers"]
    side = task["side"]
    told = [
        row(
            BATCH.format(n=task["batch"], side=side),
            _value(ours, "batch", "images_per_s"),
            _value(before, "batch", "images_per_s"),
            _value(peers, "plain", "images_per_s"),
            more_is_better=True,
        ),
        row(ONE, _value(ours, "one", "ms"), _value(before, "one", "ms"), _value(peers, "plain", "one_ms")),
    ]
    for size in map(str, task["sizes"]):
        sides = (_value(ours, "large", "sizes", size, "seconds"), _value(before, "large", "sizes", size, "seconds"))
        told.append(row(LARGE.format(side=size), *sides, _value(peers, "sliding", size, "seconds")))
    speeds = (_value(one, "many", "images_per_s") for one in (ours, before))
    told.append(row(MANY.format(n=task["many"], side=side), *speeds, None, more_is_better=True))
    return told


def row(
    work: str, ours: float | None, before: float | None, peer: float | None, *, more_is_better: bool = False
) -> dict[str, Any]:
    """Return a row; what was not measured is None."""

    def better(other: float | None) -> float | None:
        if ours is None or other is None:
            return None
        return ours / other if more_is_better else other / ours

    return {
        "work": work,
        "ours": ours,
        "before": before,
        "peer": peer,
        "to_before": better(before),
        "to_peer": better(peer),
    }


def _value(told: dict[str, Any], *keys: str) -> float | None:
    at: Any = told
    for key in keys:
        at = at.get(key) if isinstance(at, dict) else None
    return at if isinstance(at, int | float) else None


def describe_card(device: str) -> dict[str, Any]:
    """Return name, memory and driver of the device, as PyTorch knows them."""
    import torch

    if not device.startswith("cuda"):
        return {"name": "Apple GPU" if device == "mps" else None, "device": device}
    if not torch.cuda.is_available():
        raise SystemExit("PyTorch finds no NVIDIA GPU here; --device mps or --device cpu --quick may be meant.")
    at = torch.cuda.get_device_properties(torch.device(device))
    return {
        "name": at.name,
        "device": device,
        "count": torch.cuda.device_count(),
        "memory_gb": round(at.total_memory / 1e9, 1),
        "processors": at.multi_processor_count,
        "capability": f"{at.major}.{at.minor}",
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),
    }


def describe() -> dict[str, Any]:
    """Return what is known of the machine."""
    from machine import describe_machine

    from napari_unetseg import __version__

    told = describe_machine()
    told["versions"].setdefault("napari-unetseg", __version__)
    return told | {"cores": os.cpu_count()}


def as_text(found: dict[str, Any]) -> str:
    """Return all that matters as Markdown."""
    card = found["card"]
    versions = ", ".join(f"{name} {number}" for name, number in found["machine"]["versions"].items())
    lines = [
        f"# {card['name'] or found['machine']['processor']}, {found['machine']['date']}",
        "",
        f"* {', '.join(f'{name} {value}' for name, value in card.items() if name != 'name')}",
        f"* {found['machine']['processor']}, {found['machine']['cores']} cores, load {found['machine']['load']}",
        f"* Python {found['machine']['python']}, {versions}",
        f"* measured in {found['seconds']:.0f} s",
        "",
        "| work | ours | build before | peer | to the build before | to the peer |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for one in found["rows"]:
        cells = (one["ours"], one["before"], one["peer"])
        ratios = (one["to_before"], one["to_peer"])
        told = [*map(_number, cells), *(f"{_number(ratio)} x" if ratio else "" for ratio in ratios)]
        lines.append(f"| {one['work']} | {' | '.join(told)} |")
    return "\n".join([*lines, "", *_remarks(found), ""])


def _remarks(found: dict[str, Any]) -> list[str]:
    peers, ours = found["peers"], found["ours"]
    told = []
    for side, name, title in (
        ("peers", "ceilings", "Ceilings"),
        ("peers", "network", "SpheroHQ network alone, images/s by batch"),
        ("peers", "compiled", "The same by torch.compile in bfloat16"),
        ("peers", "sliding", "Sliding window"),
        ("ours", "start", "Start"),
        ("ours", "labels", "Labels against those of the CPU in float32"),
        ("ours", "memory", "Memory of the device"),
        ("ours", "cards", "Several cards"),
    ):
        if name in found[side]:
            told.append(f"* {title}: {_plain(found[side][name])}")
    batch = ours.get("batch", {})
    if "facts" in batch:
        told.append(f"* How the network was computed: {_plain(batch['facts'])}; {_plain(batch['compiling'])}")
        product = _value(peers, "ceilings", "matrix_tflops_bfloat16")
        work, speed = _value(peers, "network", "gflop_an_image"), _value(ours, "batch", "images_per_s")
        if product and work and speed:
            share = 100 * speed * work / 1e3 / product
            told.append(f"* The whole call of many images computes {share:.1f} % of the products that the device can")
    if found["dice_to_plain"] is not None:
        told.append(
            f"* Masks of the first images agree with the plain peer's to a Dice of {found['dice_to_plain']:.4f}"
        )
    failed = [
        f"{side}, {name}: {told['failed']}"
        for side in ("peers", "ours", "before")
        for name, told in found[side].items()
        if "failed" in told
    ]
    return told + [f"* **Not measured**: {one}" for one in failed]


def _plain(value: Any) -> str:
    """Return plain values in a line, without what was noted for the JSON alone."""
    if isinstance(value, dict):
        kept = {name: one for name, one in value.items() if name not in ("where", "file", "took_s", "all")}
        return ", ".join(f"{name} {_plain(one)}" for name, one in kept.items())
    if isinstance(value, list):
        return " ".join(map(_plain, value))
    return _number(value) if isinstance(value, float) else str(value)


def _number(value: float | None) -> str:
    if value is None:
        return ""
    if 0.99 <= value < 1:
        return f"{value:.4f}"
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"


def main() -> None:
    """Measure, write, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda", help="as PyTorch names it")
    parser.add_argument("--before", type=Path, help="checkout of a build to compare with")
    parser.add_argument("--seconds", type=float, default=225, help="after which no part is begun")
    names = list(dict.fromkeys((*EARLY_PEERS, *OURS, *LATE_PEERS)))
    parser.add_argument("--only", nargs="+", choices=names, default=names, help="parts to measure")
    parser.add_argument("--quick", action="store_true", help="small images and few of them, to try the script")
    parser.add_argument("--results", type=Path, default=HERE / "results", help="folder of the results")
    arguments = parser.parse_args()
    use_stand_ins()
    sys.path.insert(0, str(HERE.parent / "src"))
    with tempfile.TemporaryDirectory() as scratch:
        found = measure(arguments, Path(scratch))
    from machine import short_name

    name = short_name({"processor": found["card"]["name"]}) if found["card"]["name"] else short_name(found["machine"])
    path = arguments.results / f"{found['machine']['date']}-{name}-gpu.json"
    arguments.results.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    text = as_text(found)
    path.with_suffix(".md").write_text(text, encoding="utf-8")
    say(f"\n{text}\n{path}\n")


if __name__ == "__main__":
    main()
