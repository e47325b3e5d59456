"""A picture with controls above it, and a static picture if no kernel is running."""

import base64
import contextlib
import html
import io
from collections.abc import Callable, Sequence

import ipywidgets
import numpy as np
from matplotlib.artist import Artist
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from tinybert_lite.system.errors import UserError

DPI = 90  # 10 inches fill the width of a notebook


class Explorer(ipywidgets.VBox):
    """A picture that is drawn again when a value of the controls above it changes.

    draw: called with the controls' values by name, returns a Figure; it is faster if it always
    returns the same one · controls: name -> a widget with a `value` · still: settings (values of
    some controls) that the static picture shows, in `columns` columns · moving: the artists that
    change, if `draw` always returns the same Figure; all others are drawn only once.
    An exception of `draw` is shown as a sentence instead of the picture.
    """

    def __init__(
        self,
        draw: Callable[..., Figure],
        controls: dict[str, ipywidgets.ValueWidget],
        still: list[dict],
        columns: int = 1,
        moving: Sequence[Artist] = (),
    ):
        self.draw, self.controls, self.still, self.columns = draw, controls, still, columns
        self.moving, self._background = moving, None
        self.picture = ipywidgets.Image(format="png", layout={"max_width": "100%"})
        self.message = ipywidgets.HTML()
        row = ipywidgets.HBox(list(controls.values()), layout={"flex_flow": "row wrap"})
        super().__init__([row, self.message, self.picture])
        for control in controls.values():
            control.observe(self._follow, "value")
        self._follow()

    @property
    def values(self) -> dict:
        return {name: control.value for name, control in self.controls.items()}

    def _follow(self, change=None) -> None:
        self.message.value = ""
        self.picture.layout.display = None
        try:
            drawn = self._pixels(self.draw(**self.values))
        except Exception as error:  # Jupyter does not show the exception of a callback
            sentence = str(error)
            if not isinstance(error, UserError):
                sentence = f"this cannot be drawn: {type(error).__name__}: {error}"
            self.message.value = f'<span style="color:#c0392b">{html.escape(sentence)}</span>'
            self.picture.layout.display = "none"
        else:
            self.picture.width = str(drawn.shape[1])
            self.picture.value = png(drawn, compress_level=1)

    def still_picture(self) -> bytes:
        """Return a PNG of the settings in `still`, without those that cannot be drawn."""
        tiles = []
        for setting in self.still:
            with contextlib.suppress(UserError):
                tiles.append(self._pixels(self.draw(**{**self.values, **setting})))
        if not tiles:
            return self.picture.value
        rows = [tiles[i : i + self.columns] for i in range(0, len(tiles), self.columns)]
        return png(_joined([_joined(row, 1) for row in rows], 0), optimize=True)

    def _pixels(self, figure: Figure) -> np.ndarray:
        """Return the Figure as RGB bytes, (height, width, 3)."""
        if self._background is None:
            canvas = FigureCanvasAgg(figure)
            figure.set_dpi(DPI)
            for artist in self.moving:
                artist.set_animated(True)  # left out when the Figure itself is drawn
            canvas.draw()
            if self.moving:
                self._background = canvas.copy_from_bbox(figure.bbox)
        else:
            canvas = figure.canvas
            canvas.restore_region(self._background)
        for artist in self.moving:
            figure.draw_artist(artist)
        return np.asarray(canvas.buffer_rgba())[:, :, :3].copy()

    def __repr__(self) -> str:
        values = [f"{name} = {value}" for name, value in self.values.items()]
        return f"picture with controls: {', '.join(values)}"

    def _repr_mimebundle_(self, **kwargs) -> dict:
        return {
            **super()._repr_mimebundle_(**kwargs),
            "text/plain": repr(self),
            "image/png": base64.b64encode(self.still_picture()).decode(),
        }


def png(image: np.ndarray, **options) -> bytes:
    """Return RGB bytes (height, width, 3) as a PNG file."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, "png", **options)
    return file.getvalue()


def _joined(tiles: list[np.ndarray], axis: int) -> np.ndarray:
    """Join pictures side by side (axis 1) or one above the other (axis 0), padded with white."""
    across = 1 - axis
    most = max(tile.shape[across] for tile in tiles)
    filled = []
    for tile in tiles:
        room = [(0, 0)] * 3
        room[across] = (0, most - tile.shape[across])
        filled.append(np.pad(tile, room, constant_values=255))
    return np.concatenate(filled, axis)
