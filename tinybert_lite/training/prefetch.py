"""Make the next batches in a background thread."""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor


def ahead(items: Iterator, most: int = 2) -> Iterator:
    """Yield the items of an iterator; a thread makes up to `most` items in advance.

    An error in making an item is raised in place of that item. No item may be None.
    """
    with ThreadPoolExecutor(1) as pool:
        waiting = deque(pool.submit(next, items, None) for _ in range(most))
        while (item := waiting.popleft().result()) is not None:
            waiting.append(pool.submit(next, items, None))
            yield item
