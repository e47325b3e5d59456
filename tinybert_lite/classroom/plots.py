"""The pictures of the lessons, which live in `tinybert_lite.plots`."""

from tinybert_lite.plots import *  # noqa: F403
