"""Compare requests a second of the server with other ways of segmenting the same images.

Run with ``python benchmarks/serving.py`` on a machine that has nothing else to do. Ways take turns, round after round,
in one run; each is a process of its own, and the clients are a further one. Told are medians and ratios, as JSON in
``benchmarks/results`` too. Beside the rates stand the processor's seconds for a request (of the server or of the
process of `segment_batch`, not of the clients), which other programs on the machine disturb less. Where others do work,
add ``--passive``: threads of OpenMP that wait for one another then sleep in all ways, instead of keeping the processor
from the one they wait for, which made `segment_batch` four times as slow on a busy machine and the server hardly.

* ``ours``: ``napari-unetseg serve`` as it is started by default, with many clients at a time, which ask for labels;
* ``one by one``: the same requests to the same server by one client, which waits for each answer;
* ``segment_batch``: the same images, decoded already, by `SegmentationService.segment_batch` in one process;
* ``ours, mask``: as ``ours`` with the published request, which asks for the mask alone;
* ``peer``: the same to the plainest server of FastAPI and PyTorch (`serving_peer.py`).

Nothing may be lost: every answer must be 200, and every label image equal to that of a local `segment`.
"""

import argparse
import asyncio
import base64
import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import psutil
from machine import describe_machine, short_name
from numpy.typing import NDArray
from PIL import Image as PillowImage

from napari_unetseg import Image, SegmentationService
from napari_unetseg.samples import nuclei

HERE = Path(__file__).parent
THRESHOLD = 0.5
"""As the guide's examples ask for, whatever the model's own is."""

WAYS = ("ours", "one by one", "segment_batch", "ours, mask", "peer")
TARGETS = (("ours", "segment_batch", 0.9), ("ours", "one by one", 1.2), ("ours, mask", "peer", 2.0))


@dataclass(frozen=True)
class Load:
    """What the clients send: a number of requests each, of one of the images."""

    pictures: list[NDArray[np.uint8]]
    requests: int

    def bodies(self, *, labels: bool) -> list[bytes]:
        """Return a body for each picture, as the guide writes it."""
        return [
            json.dumps(self._body(picture) | ({"return_labels": True} if labels else {})).encode()
            for picture in self.pictures
        ]

    def _body(self, picture: NDArray[np.uint8]) -> dict[str, Any]:
        buffer = io.BytesIO()
        PillowImage.fromarray(picture).save(buffer, format="PNG")
        return {"image_data": base64.b64encode(buffer.getvalue()).decode(), "threshold": THRESHOLD}

    @property
    def total(self) -> int:
        """Number of requests of all clients."""
        return self.requests * len(self.pictures)


@dataclass
class Found:
    """Requests a second and the processor's seconds for one, of each round, and the answers that were wrong."""

    rates: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


def draw(clients: int, side: int) -> list[NDArray[np.uint8]]:
    """Return an image for each client: the sample of nuclei, shifted."""
    sample = nuclei().array.astype(np.float32)
    grey = (255 * sample / sample.max()).astype(np.uint8)
    wide = np.pad(grey, [(0, max(side - length, 0)) for length in grey.shape], mode="symmetric")
    return [np.roll(wide, (37 * number, 53 * number), (0, 1))[:side, :side].copy() for number in range(clients)]


async def send(address: str, bodies: Sequence[bytes], requests: int, *, at_once: bool) -> list[list[httpx2.Response]]:
    """Send each body so many times, a client for each body or one for all; return the answers of each body."""
    headers = {"Content-Type": "application/json"}

    async def client_of(body: bytes) -> list[httpx2.Response]:
        # Nothing is encrypted; to read whom the system trusts takes as long as a request.
        async with httpx2.AsyncClient(base_url=address, timeout=None, headers=headers, verify=False) as client:
            return [await client.post("/api/unet/segment", content=body) for _ in range(requests)]

    if at_once:
        return list(await asyncio.gather(*(client_of(body) for body in bodies)))
    return [await client_of(body) for body in bodies]


def labels_of(answer: dict[str, Any]) -> NDArray[np.int32]:
    """Read the label image of an answer."""
    image = answer["labels"]
    content = base64.b64decode(image["data"])
    if image["format"] == "zlib_int32":
        return np.frombuffer(zlib.decompress(content), "<i4").reshape(image["shape"])
    return np.asarray(PillowImage.open(io.BytesIO(content))).astype(np.int32)


def faults(answers: list[list[httpx2.Response]], expected: Sequence[NDArray[np.int32]] | None) -> Iterator[str]:
    """Say of each answer that is wrong what it is; without labels to expect, the status counts alone."""
    for number, of_client in enumerate(answers):
        for answer in of_client:
            if answer.status_code != 200:
                yield f"client {number}: status {answer.status_code}: {answer.text[:200]}"
            elif expected is not None and not np.array_equal(labels_of(answer.json()), expected[number]):
                yield f"client {number}: other labels"


@contextmanager
def process(*words: str, folder: Path, passive: bool = False) -> Iterator["subprocess.Popen[str]"]:
    """Start a Python process with settings of its own and the libraries' own numbers of threads."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("OMP_", "MKL_", "UNET_"))}
    environment |= {f"XDG_{name}_HOME": str(folder) for name in ("CONFIG", "DATA", "STATE", "CACHE")}
    environment |= {"OMP_WAIT_POLICY": "PASSIVE"} if passive else {}
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "bufsize": 1}
    with (folder / "log.txt").open("a") as log:
        started = subprocess.Popen([sys.executable, *words], env=environment, stderr=log, **pipes)  # noqa: S603 (ours)
    try:
        yield started
    finally:
        started.terminate()
        started.communicate()


def line_of(started: "subprocess.Popen[str]") -> str:
    """Return the next line that it prints."""
    line = started.stdout.readline() if started.stdout else ""
    if not line:
        raise RuntimeError(f"A process ended early: {started.args!r}")
    return line


def address_of(started: "subprocess.Popen[str]") -> str:
    """Wait until a server listens; return where."""
    return line_of(started).split("Listening on ")[1].split()[0]


def cpu_seconds(started: "subprocess.Popen[str]") -> float:
    """Return what a process has had of the processor."""
    times = psutil.Process(started.pid).cpu_times()
    return float(times.user + times.system)


def run_batches(model: str) -> None:
    """Be the process of `segment_batch`: for each line with clients, requests and a side, print its seconds."""
    with SegmentationService(model) as service:
        for line in sys.stdin:
            clients, requests, side = map(int, line.split())
            images = [Image(picture) for picture in draw(clients, side)] * requests
            clock = time.perf_counter()
            results = service.segment_batch(images, threshold=THRESHOLD)
            seconds = time.perf_counter() - clock
            if any(not isinstance(result.labels, np.ndarray) for result in results):  # type: ignore[union-attr]
                raise RuntimeError("An image failed.")
            sys.stdout.write(f"{seconds}\n")
            sys.stdout.flush()


def measure(model: str, load: Load, rounds: int, *, passive: bool) -> dict[str, Found]:
    """Let all ways take turns."""
    with SegmentationService(model) as service:
        expected = [service.segment(Image(picture), threshold=THRESHOLD).labels for picture in load.pictures]
    found = {way: Found() for way in WAYS}
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        serve = ("-m", "napari_unetseg", "serve", "--port", "0", "--model", model)
        ours = stack.enter_context(process(*serve, folder=folder, passive=passive))
        # -P: its folder has a click.py, which uvicorn would take for the library.
        peer = stack.enter_context(process("-P", str(HERE / "serving_peer.py"), model, folder=folder, passive=passive))
        local = stack.enter_context(process(__file__, "--be-batch", "--model", model, folder=folder, passive=passive))

        addresses = {one.pid: address_of(one) for one in (ours, peer)}

        def ask(server: "subprocess.Popen[str]", way: str, count: int, *, labels: bool, at_once: bool = True) -> float:
            bodies = load.bodies(labels=labels)
            clock = time.perf_counter()
            answers = asyncio.run(send(addresses[server.pid], bodies, count, at_once=at_once))
            seconds = time.perf_counter() - clock
            found[way].wrong += faults(answers, expected if labels else None)
            return seconds

        def batch(count: int) -> float:
            if local.stdin is None:
                raise RuntimeError("The process of segment_batch cannot be told anything.")
            local.stdin.write(f"{len(load.pictures)} {count} {load.pictures[0].shape[0]}\n")
            return float(line_of(local))

        ways: dict[str, tuple[subprocess.Popen[str], Callable[[int], float]]] = {
            "ours": (ours, lambda count: ask(ours, "ours", count, labels=True)),
            "one by one": (ours, lambda count: ask(ours, "one by one", count, labels=True, at_once=False)),
            "segment_batch": (local, batch),
            "ours, mask": (ours, lambda count: ask(ours, "ours, mask", count, labels=False)),
            "peer": (peer, lambda count: ask(peer, "peer", count, labels=False)),
        }
        for _, run in ways.values():
            run(1)  # to warm up
        if any(one.wrong for one in found.values()):
            raise RuntimeError("\n".join(line for one in found.values() for line in one.wrong[:3]))
        for turn in range(rounds):
            for way in WAYS if turn % 2 == 0 else reversed(WAYS):
                server, run = ways[way]
                spent = cpu_seconds(server)
                found[way].rates.append(load.total / run(load.requests))
                found[way].cpu.append((cpu_seconds(server) - spent) / load.total)
                sys.stderr.write(f"{way}: {found[way].rates[-1]:.2f} requests/s, CPU {found[way].cpu[-1]:.3f} s each\n")
    return found


def summary(found: dict[str, Found]) -> dict[str, Any]:
    """Return medians, and the ratios with what is wanted of them."""
    medians = {way: statistics.median(one.rates) for way, one in found.items()}
    cpu = {way: statistics.median(one.cpu) for way, one in found.items()}
    return {
        "requests_per_s": {way: {"median": medians[way], "rounds": one.rates} for way, one in found.items()},
        "cpu_s_per_request": {way: {"median": cpu[way], "rounds": one.cpu} for way, one in found.items()},
        "ratios": {
            f"{one} / {other}": {
                "ratio": medians[one] / medians[other],
                "wanted": wanted,
                "ratio_by_cpu": cpu[other] / cpu[one],
            }
            for one, other, wanted in TARGETS
        },
        "wrong_answers": [line for one in found.values() for line in one.wrong],
    }


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="nuclei")
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--requests", type=int, default=50, help="of each client in a round")
    parser.add_argument("--side", type=int, default=512, help="of the square images, in pixels")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--passive", action="store_true", help="let waiting threads of OpenMP sleep, in all ways")
    parser.add_argument("--results", type=Path, default=HERE / "results", help="folder of the results")
    parser.add_argument("--be-batch", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.be_batch:
        run_batches(arguments.model)
        return
    machine = describe_machine()
    load = Load(draw(arguments.clients, arguments.side), arguments.requests)
    asked = {key: getattr(arguments, key) for key in ("model", "clients", "requests", "side", "rounds", "passive")}
    told = {"machine": machine, "asked": asked} | summary(
        measure(arguments.model, load, arguments.rounds, passive=arguments.passive)
    )
    arguments.results.mkdir(parents=True, exist_ok=True)
    path = arguments.results / f"{machine['date']}-{short_name(machine)}-serving.json"
    path.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    for pair, one in told["ratios"].items():
        sys.stdout.write(f"{pair}: {one['ratio']:.2f} (wanted: {one['wanted']}; by CPU {one['ratio_by_cpu']:.2f})\n")
    sys.stdout.write(f"wrong answers: {len(told['wrong_answers'])}\n{path}\n")


if __name__ == "__main__":
    main()
