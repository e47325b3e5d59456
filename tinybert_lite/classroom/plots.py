"""The pictures of the lessons, which are in `tinybert_lite.plots`."""

from tinybert_lite.plots import *  # noqa: F403
