"""Which cases of a large matrix run by default, and which only with `-m slow`."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

slow = pytest.mark.slow


def sampled(cases: Iterable, default: Iterable) -> list:
    """Parameters of a test: the cases in `default` always run, the others only with `-m slow`."""
    default = list(default)
    return [case if case in default else pytest.param(case, marks=slow) for case in cases]
