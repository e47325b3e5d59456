"""Packages that only some commands need."""

from importlib import import_module
from types import ModuleType

from tinybert_lite.system.errors import UserError


def optional(module: str, package: str, extra: str, need: str) -> ModuleType:
    """Import and return a module of `package`, which the extra `extra` installs.

    Raises UserError if it is not installed. need: how the message begins, "Parquet files are read".
    """
    try:
        return import_module(module)
    except ImportError:
        raise UserError(
            f"{need} by the package {package}, which is missing: "
            f'python -m pip install -e ".[{extra}]"'
        ) from None
