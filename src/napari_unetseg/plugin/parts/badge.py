"""A small sign of a state, by its glyph and its colour."""

from typing import TYPE_CHECKING, Literal

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel, QWidget

if TYPE_CHECKING:
    from napari.utils.theme import Theme
    from pydantic_extra_types.color import Color

BadgeKind = Literal["plain", "idle", "busy", "good", "warning", "error"]

GLYPHS: dict[BadgeKind, str] = {"plain": "", "idle": "○", "busy": "…", "good": "✓", "warning": "!", "error": "✕"}
_SIDE = 16


class Badge(QLabel):
    """A glyph on a patch of one of the theme's colours; nothing at all while `kind` is plain."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFixedSize(_SIDE, _SIDE)
        self.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.kind: BadgeKind = "plain"
        self._styles: dict[BadgeKind, str] = {}

    def show_kind(self, kind: BadgeKind) -> None:
        """Show another state."""
        self.kind = kind
        self.setText(GLYPHS[kind])
        self.setStyleSheet(self._styles.get(kind, ""))
        self.setVisible(kind != "plain")

    def use_theme(self, theme: "Theme") -> None:
        """Take the colours of a napari theme."""
        patches: dict[BadgeKind, Color] = {
            "idle": theme.primary,
            "busy": theme.secondary,
            "good": theme.current,
            "warning": theme.warning,
            "error": theme.error,
        }
        self._styles = {
            kind: f"background-color: {patch.as_hex()}; color: {_readable_on(patch, theme)};"
            f"border-radius: {_SIDE // 2 if kind in ('idle', 'good', 'busy') else 3}px;"
            # Of the badge's size, and not of the window's font, which may be larger than the badge.
            f"font-weight: bold; font-size: {_SIDE * 3 // 4}px;"
            for kind, patch in patches.items()
        }
        self.show_kind(self.kind)


def _readable_on(patch: "Color", theme: "Theme") -> str:
    """Return the theme's text or background colour, whichever stands out more from the patch."""
    return str(max((theme.text, theme.background), key=lambda color: abs(_luma(color) - _luma(patch))).as_hex())


def _luma(color: "Color") -> float:
    """Brightness as the eye weighs the primaries (ITU-R BT.601)."""
    red, green, blue = color.as_rgb_tuple(alpha=False)[:3]
    return 0.299 * red + 0.587 * green + 0.114 * blue
