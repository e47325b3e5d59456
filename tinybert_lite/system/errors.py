"""Errors that a command reports in one sentence."""

import errno


class UserError(Exception):
    """A mistake that the user can fix: one sentence with what, where and how to fix it.

    Commands print it and exit with code 2.
    """


def disk_refuses(error: Exception) -> bool:
    """Whether the disk is full or read-only."""
    return getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


def what_failed(error: OSError) -> str:
    """Describe an error of the file system in one sentence: path, problem, cure."""
    place = error.filename2 or error.filename or "a file"
    if error.errno == errno.EROFS:
        return f"{place}: the file system is read-only; name an output folder that can be written"
    if disk_refuses(error):
        return (
            f"{place}: the disk is full; free some space and run the same command again, "
            "which resumes from the last saved state"
        )
    return f"{place}: {error.strerror or error}; fix the path or the permissions"
