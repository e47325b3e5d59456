"""Errors that a command reports in one sentence."""

import errno
from collections.abc import Collection
from reprlib import repr as short


class UserError(Exception):
    """A mistake that the user can fix: one sentence with what, where and how to fix it.

    Commands print it and exit with code 2.
    """


def listed(words: Collection[str], most: int = 10, between: str = ", ") -> str:
    """Join at most `most` words, long ones shortened, and say how many more there are."""
    first = between.join(short(word)[1:-1] for word in [*words][:most])
    return first + (f" and {len(words) - most:,} more" if len(words) > most else "")


def one_line(error: Exception, most: int = 150) -> str:
    """Return the beginning of a library's message in one line, to be quoted in our own."""
    return " ".join(str(error).split())[:most]


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
