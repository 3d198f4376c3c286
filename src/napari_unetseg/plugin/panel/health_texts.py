"""What the panel shows of a report, in words and parts of a bar. Pure functions: no window, no torch."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from napari_unetseg.language import grouped, tr, tr_count, translated
from napari_unetseg.plugin.parts.badge import BadgeKind
from napari_unetseg.plugin.parts.words import device_words

if TYPE_CHECKING:
    from napari_unetseg.service import Health
    from napari_unetseg.service.reports import MemoryUsage, Performance

HealthAction = Literal["refresh", "check", "reload", "warm up", "free", "run"]
"""What the service did before it reported how it is; for a refresh it did nothing."""

LOADS: tuple[HealthAction, ...] = ("check", "reload", "warm up")
NOTHING = "-"


@dataclass(frozen=True)
class Light:
    """The health light: its state in a word or two, what that means, and what failed, if anything did."""

    kind: BadgeKind
    state: str
    words: str
    failed: str = ""

    @property
    def summary(self) -> str:
        """One calm line, as ``"ready"`` or ``"trouble · The check failed."``; figures stand in the section."""
        return " · ".join(part for part in (self.state, self.failed) if part)


@dataclass(frozen=True)
class Meter:
    """A bar: parts of the whole in 0..1 from the left, words for it, and what they leave out."""

    parts: tuple[float, ...]
    words: str
    tip: str


@dataclass(frozen=True)
class ErrorDetails:
    """An error the user can look up again: what went wrong, when, and all that is known about it."""

    sentence: str
    time: datetime
    details: str


def light(health: "Health", action: HealthAction) -> Light:
    """Say how the service is.

    A model that is not loaded is a fault only after something that should have loaded it.
    """
    kind: BadgeKind
    if not health.model_loaded and action not in LOADS:
        if action == "free":
            words = tr("The model's memory is free. It loads on the next run or check.")
        else:
            words = tr("The model is not in memory. It loads on the next run or check.")
        return Light("idle", tr("not loaded"), words)
    checked = health.last_health_check
    when = (
        tr("Last check {time}").format(time=clock(datetime.fromisoformat(checked)))
        if checked
        else tr("Not checked since it was loaded")
    )
    if not health.service_healthy:
        kind, state, words = "error", tr("trouble"), " ".join(map(translated, health.problems))
    elif health.warnings:
        kind, state, words = (
            "warning",
            tr("works, with a remark"),
            tr("{remark} {check}.").format(remark=translated(health.warnings[-1]), check=when),
        )
    else:
        kind, state, words = (
            "good",
            tr("ready"),
            tr("Ready. {check}{answer}.").format(check=when, answer=_answer(health)),
        )
    return Light(kind, state, words)


def error_details(health: "Health", action: HealthAction, now: datetime) -> ErrorDetails | None:
    """Return what is wrong now or, if nothing is, the last run that failed."""
    if light(health, action).kind == "error":
        sentence = " ".join(map(translated, health.problems))
        return ErrorDetails(sentence, now, sentence)
    if (last := health.last_error) is None:
        return None
    details = f"{last.message}\n\nRequest {last.request_id}, {last.time}"
    return ErrorDetails(translated(last.message), datetime.fromisoformat(last.time), details)


def device(health: "Health") -> str:
    """Return ``"CPU, bfloat16, torch"``."""
    where = health.model_info.device
    known = [device_words(where) if where else None, health.precision, health.backend]
    return ", ".join(word for word in known if word) or NOTHING


def reason(health: "Health") -> str:
    """Return why the model runs there and so, and whether it is compiled; empty until it is loaded."""
    known = health.device_reason, health.backend_reason, health.compilation
    return " ".join(translated(part) for part in known if part)


def server_line(server: str, version: str) -> str:
    """Return ``"On lab:8001, napari-unetseg 0.9."``; empty for this machine."""
    if not server:
        return ""
    if not version:
        return tr("On {server}.").format(server=server)
    return tr("On {server}, napari-unetseg {version}.").format(server=server, version=version)


def host_meter(usage: "MemoryUsage", on_server: bool = False) -> Meter:
    """Show this process's part of the machine's memory, then everybody else's."""
    process, total, available = usage.process_mb, usage.host_total_mb, usage.host_available_mb
    if process is None:
        return Meter((), NOTHING, "")
    if total is None or available is None:
        return Meter((), size(process), tr("How much memory the computer has is not known."))
    own, taken = process / total, (total - available) / total
    tip = tr(
        "The server holds {own}; {free} of {total} are free."
        if on_server
        else "napari holds {own}; {free} of {total} are free."
    )
    tip = tip.format(own=size(process), free=size(available), total=size(total))
    return Meter((own, max(taken - own, 0.0)), _part(process, total), tip)


def device_meter(usage: "MemoryUsage", on_server: bool = False) -> Meter:
    """Show the part of a GPU's memory that this process holds."""
    if usage.device_mb is None:
        return Meter((), tr("no GPU in use"), tr("The model does not run on a GPU, or is not loaded."))
    if not usage.device_total_mb:
        return Meter((), size(usage.device_mb), tr("How much memory the GPU has is not known."))
    words = _part(usage.device_mb, usage.device_total_mb)
    tip = tr("The server holds {part}." if on_server else "napari holds {part}.").format(part=words)
    return Meter((usage.device_mb / usage.device_total_mb,), words, tip)


def input_pool_meter(usage: "MemoryUsage", on_server: bool = False) -> Meter:
    """Show how much of the input pool is lent out."""
    return _pool(usage.input_pool_utilization, usage.input_pool_hits, usage.input_pool_misses, usage.pool_mb)


def output_pool_meter(usage: "MemoryUsage", on_server: bool = False) -> Meter:
    """Show how much of the output pool is lent out."""
    return _pool(usage.output_pool_utilization, usage.output_pool_hits, usage.output_pool_misses, usage.pool_mb)


def latency(performance: "Performance") -> str:
    """Return ``"median 120 ms · p95 140 ms"``."""
    p50, p95 = performance.latency_p50_ms, performance.latency_p95_ms
    if p50 is None or p95 is None:
        return tr("no run yet")
    return tr("median {p50} · p95 {p95}").format(p50=milliseconds(p50), p95=milliseconds(p95))


def work(performance: "Performance") -> str:
    """Return ``"12 runs, 1 failed (8 %), CPU 130 %"``."""
    parts = [tr_count("{n} run", "{n} runs", performance.runs).format(n=grouped(performance.runs))]
    if performance.failures:
        failed = tr_count("{n} failed ({percent:.0f} %)", "{n} failed ({percent:.0f} %)", performance.failures)
        parts.append(failed.format(n=grouped(performance.failures), percent=100 * performance.error_rate))
    use = {"CPU": performance.cpu_percent, "GPU": performance.gpu_percent}
    parts += [f"{name} {percent:.0f} %" for name, percent in use.items() if percent is not None]
    return ", ".join(parts)


def remarks(health: "Health") -> str:
    """Return what to know about memory and pace, newest first; a dash if there is nothing."""
    return " ".join(map(translated, [*reversed(health.memory_steps), *reversed(health.warnings)])) or NOTHING


def clock(time: datetime, now: datetime | None = None) -> str:
    """Return ``"14:03:12"``, with the date where it is not today's."""
    local_time = time.astimezone()
    today = (now or datetime.now()).astimezone().date()
    return f"{local_time:%H:%M:%S}" if local_time.date() == today else f"{local_time:%Y-%m-%d %H:%M}"


def milliseconds(value: float) -> str:
    """Return ``"0.8 ms"``, ``"140 ms"``, ``"1.4 s"``."""
    if value < 10:
        return f"{value:.1f} ms"
    return f"{value:.0f} ms" if value < 1000 else f"{value / 1000:.1f} s"


def size(megabytes: float) -> str:
    """Return ``"693 MB"``, ``"15.6 GB"``; a GB is 1,024 MB."""
    return f"{megabytes:.0f} MB" if megabytes < 1000 else f"{megabytes / 1024:.1f} GB"


def newest(errors: Iterable[ErrorDetails | None]) -> ErrorDetails | None:
    """Return the latest; None if there is none."""
    return max((one for one in errors if one is not None), key=lambda one: one.time, default=None)


def _answer(health: "Health") -> str:
    """Say what the check's inference gave, if the report is of a check."""
    if health.dummy_inference_ms is None:
        return ""
    took = (
        tr(": a test image took {time}")
        if health.known_answer is None
        else tr(": a test image took {time}, with the answer it should give")
    )
    return took.format(time=milliseconds(health.dummy_inference_ms))


def _part(megabytes: float, total: float) -> str:
    return tr("{part} of {total}").format(part=size(megabytes), total=size(total))


def _pool(utilization: float, hits: int, misses: int, held_mb: float) -> Meter:
    loans = hits + misses
    tip = tr("{hits} buffers were used again, {misses} had to be made; both pools together hold {size}.")
    tip = tip.format(hits=grouped(hits), misses=grouped(misses), size=size(held_mb))
    if not loans:
        return Meter((utilization,), tr("not used yet"), tip)
    words = tr("{used:.0f} %, {reused:.0f} % reused")
    return Meter((utilization,), words.format(used=100 * utilization, reused=100 * hits / loans), tip)
