"""What to do about an inference that takes too long."""

from napari_unetseg.config import Settings
from napari_unetseg.language import Sentence


def slow_remarks(seconds: float, settings: Settings) -> tuple[str, ...]:
    """Return a sentence where the network took longer than `unet.health.slow_inference_ms` allows; else nothing."""
    limit = settings.unet.health.slow_inference_ms
    if limit is None or 1000 * seconds <= limit:
        return ()
    # Without the time itself, so that the same sentence on many images can be counted.
    return (
        Sentence(
            "The network took longer than {limit:g} ms. Check GPU utilization and the model variant; use "
            "the lightweight variant for speed.",
            limit=limit,
        ),
    )
