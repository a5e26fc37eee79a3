"""Waits for a condition with a deadline."""

import time

# Interval between two attempts.
INTERVAL_SECONDS = 0.1


def until(ask, seconds, problem):
    """The first non-empty answer of `ask`. After the deadline, an error worded by `problem`."""
    deadline = time.monotonic() + seconds
    while not (answer := ask()):
        if time.monotonic() > deadline:
            raise RuntimeError(f"not within {seconds} s: {problem()}")
        time.sleep(INTERVAL_SECONDS)
    return answer
