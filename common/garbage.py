"""How often a program that runs for years looks for garbage that reference counting leaves.

Readings go through in thousands at a time, and none of them is ever part of a cycle. With Python's
own settings a third of the time of a large batch is spent on looking for one.
"""

import gc

ALLOCATIONS = 50_000
"""So many more objects are alive than at the last look (Python's own: 700)."""


def collect_seldom() -> None:
    """To be called when the program is loaded: what is there now is never looked at again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(ALLOCATIONS, 20, 20)
