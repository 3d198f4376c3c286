import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.layers import Image as ImageLayer
from numpy.typing import NDArray

from napari_unetseg import language
from napari_unetseg.client import ServerReport
from napari_unetseg.client.remote_models import ServerModel
from napari_unetseg.plugin.dock import remembered_settings
from napari_unetseg.plugin.widget import SegmentationWidget
from napari_unetseg.plugin.workers.servers import KnownKey, Servers
from napari_unetseg.service import Segmentation, SegmentationService
from napari_unetseg.zoo.registry import ModelPackage, read_package

DOCK = "U-Net Segmentation (napari-unetseg)"


@pytest.fixture(autouse=True)
def english(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whatever language the system has, tests read English unless they ask for another."""
    monkeypatch.setenv("UNET_WINDOW_LANGUAGE", "en")
    yield
    language.use("en")


@pytest.fixture(autouse=True)
def _no_remembered_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no test begin with what the one before chose."""
    monkeypatch.setattr(remembered_settings, "_napari_settings", lambda: None)


@pytest.fixture
def squares() -> NDArray[np.uint16]:
    """Three bright squares of 8 x 8, 6 x 6 and 4 x 4 pixels on black."""
    image = np.zeros((48, 64), np.uint16)
    image[4:12, 4:12] = image[20:26, 30:36] = image[40:44, 50:54] = 1000
    return image


@pytest.fixture
def package(bright_model: Path) -> ModelPackage:
    return read_package(bright_model, "path")


@pytest.fixture(scope="session")
def service(bright_model: Path) -> SegmentationService:
    return SegmentationService(bright_model, "cpu")


@pytest.fixture
def segmentation(service: SegmentationService, squares: NDArray[np.uint16]) -> Segmentation:
    return service.segment(squares)


class GatedService:
    """A real service whose engine stands still inside a run until `release` is set.

    `segment` polls its cancel flag before and within the network; the gate sits there.
    """

    def __init__(self, service: SegmentationService) -> None:
        self._service = service
        self.entered = threading.Event()
        self.release = threading.Event()
        self.calls = 0

    def segment(self, image: Any, *, cancel: Callable[[], bool], **settings: Any) -> Segmentation:
        self.calls += 1

        def stand_still() -> bool:
            self.entered.set()
            assert self.release.wait(20)
            return cancel()

        return self._service.segment(image, cancel=stand_still, **settings)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._service, name)


@pytest.fixture
def gated(service: SegmentationService) -> Iterator[GatedService]:
    gate = GatedService(service)
    yield gate
    gate.release.set()


class FakeServers(Servers):
    """A lab with one server; asks nothing of network and keyring."""

    def __init__(self, *packages: ModelPackage) -> None:
        super().__init__()
        self.packages = packages
        self.keys: dict[str, str] = {}
        self.has_keyring = True
        self.error: Exception | None = None
        self.asked: list[tuple[str, str | None]] = []

    def check(self, address: str, key: str | None = None) -> ServerReport:
        self.asked.append((address, key or self.keys.get(address)))
        if self.error is not None:
            raise self.error
        models = tuple(package.name for package in self.packages)
        return ServerReport(address, "1.2.3", models, "cuda", 0.012, self._on_server())

    def _on_server(self) -> tuple[ServerModel, ...]:
        return tuple(ServerModel(package.path, package.card, "server") for package in self.packages)

    def known_key(self, address: str) -> KnownKey:
        return KnownKey(address, address in self.keys, self.has_keyring)

    def keep_key(self, address: str, key: str) -> None:
        self.keys[address] = key

    def forget_key(self, address: str) -> None:
        self.keys.pop(address, None)


@pytest.fixture
def lab(package: ModelPackage) -> FakeServers:
    """Servers of which every one has the model of the tests."""
    return FakeServers(package)


@pytest.fixture
def make_widget(
    make_napari_viewer_proxy: Any, package: ModelPackage, service: SegmentationService, lab: FakeServers, qtbot: Any
) -> Iterator[Callable[..., SegmentationWidget]]:
    """Make a viewer with the widget docked, and images in it."""
    made: list[SegmentationWidget] = []

    def make(*images: Any, model_choice: Any = service, **viewer_arguments: Any) -> SegmentationWidget:
        viewer = make_napari_viewer_proxy(**viewer_arguments)
        widget = SegmentationWidget(
            viewer, services=lambda model, device: model_choice, models=lambda: [package], servers=lab
        )
        viewer.window.add_dock_widget(widget, name=DOCK)
        for image in images:
            viewer.add_layer(image if isinstance(image, ImageLayer) else ImageLayer(image, name="cells"))
        made.append(widget)
        return widget

    yield make
    for widget in made:
        qtbot.waitUntil(
            lambda w=widget: (
                not (
                    w.controller.running
                    or w.results.busy
                    or w.health.checking
                    or w.object_size.estimator.busy
                    or w.run_forecast.busy
                    or w.servers.busy
                    or w.autosave.busy
                    or w.comparing.busy
                    or w.stored.busy
                )
            ),
            timeout=20_000,
        )


@pytest.fixture
def press_run(qtbot: Any) -> Callable[[SegmentationWidget], None]:
    """Click Run and wait until the run has ended in any way."""

    def press(widget: SegmentationWidget) -> None:
        widget.runner.run.click()
        qtbot.waitUntil(lambda: not widget.controller.running, timeout=30_000)

    return press


@pytest.fixture
def settle(qtbot: Any) -> Callable[[SegmentationWidget], None]:
    """Wait until the sliders' last movement has reached the layers."""
    return lambda widget: qtbot.waitUntil(lambda: not widget.results.busy, timeout=20_000)
