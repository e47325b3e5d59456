"""The machine: device and precision (each with its reason), threads, seeds, versions, and how errors are said."""

from __future__ import annotations

import errno


class UserError(Exception):
    """A mistake that the user can mend: one sentence with what, where and the cure. Commands exit with code 2."""


def what_failed(error: OSError) -> str:
    """A file system's refusal as one sentence."""
    place = error.filename2 or error.filename or "a file"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"{place}: the disk is full; make room and run the same command again, which goes on from the last saved state"
    if error.errno == errno.EROFS:
        return f"{place}: the file system is read-only; name an output folder that can be written"
    return f"{place}: {error.strerror or error}; mend the path or the permissions"
