"""The items of bench/programs/items.ts, for the pools of Python, and how their maps are timed."""

import statistics
import time

ITEMS = 1_000_000
SHORT_ITEMS = 100_000
SHORT_US = 20
TRIALS = 3

# Fixed sizes to choose the best of: none grows or shrinks by itself.
RATE_CHUNKS = [1_000, 10_000]
UNEVEN_CHUNKS = [1, 4, 16]
FULL_CHUNKS = [100, 1_000]


def increment(x):
    return x + 1


def pass_time(us):
    """Below a millisecond the clock is looked at, since a sleep takes longer than it is told to."""
    if us >= 1_000:
        time.sleep(us / 1e6)
        return
    end = time.perf_counter_ns() + us * 1e3
    while time.perf_counter_ns() < end:
        pass


def uneven_lengths():
    state = 1
    lengths = []
    for _ in range(2_000):
        state = state * 48_271 % 2_147_483_647
        lengths.append(min(1e5, (state / 2_147_483_647) ** -1.6))
    return lengths


def least_us(lengths, workers):
    """Whoever is free takes the longest that is left."""
    busy = [0.0] * workers
    for us in sorted(lengths, reverse=True):
        busy[busy.index(min(busy))] += us
    return max(busy)


def seconds_of(run):
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def best_seconds(run, chunks):
    """The median of some trials with the chunk size that was the fastest in one, each after another."""
    best = min(chunks, key=lambda chunk: seconds_of(lambda: run(chunk)))
    return statistics.median(seconds_of(lambda: run(best)) for _ in range(TRIALS))


def find_rate(map_items):
    """`map_items(function, items, chunk)` iterates over the results, on one worker."""

    def run(chunk):
        total = sum(map_items(increment, range(ITEMS), chunk))
        assert total == ITEMS * (ITEMS + 1) // 2

    return {"rate": ITEMS / best_seconds(run, RATE_CHUNKS)}


def find_balance(map_items):
    """The same on two workers: the time of uneven items, and how full short ones keep both."""

    def run_all(items):
        def run(chunk):
            for _ in map_items(pass_time, items, chunk):
                pass

        return run

    lengths = uneven_lengths()
    uneven = best_seconds(run_all(lengths), UNEVEN_CHUNKS) / (least_us(lengths, 2) / 1e6)
    short = [SHORT_US] * SHORT_ITEMS
    full = SHORT_US * SHORT_ITEMS / 2 / 1e6 / best_seconds(run_all(short), FULL_CHUNKS)
    return {"uneven": 100 * uneven, "full": 100 * full}
