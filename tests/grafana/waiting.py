"""Waiting until something holds, with a deadline."""

import time

# Between two looks.
INTERVAL_SECONDS = 0.1


def until(ask, seconds, problem):
    """The first answer of `ask` that is one; an error worded by `problem` if none comes in time."""
    deadline = time.monotonic() + seconds
    while not (answer := ask()):
        if time.monotonic() > deadline:
            raise RuntimeError(f"not within {seconds} s: {problem()}")
        time.sleep(INTERVAL_SECONDS)
    return answer
