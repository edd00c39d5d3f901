"""multiprocessing.Pool of one process."""

import json
import multiprocessing
import statistics
import time

TRIPS = 2000
CALLS = 10_000


def same(x):
    return x


def main():
    with multiprocessing.Pool(1) as pool:
        for i in range(200):
            pool.apply(same, (i,))
        times = []
        for i in range(TRIPS):
            start = time.perf_counter()
            pool.apply(same, (i,))
            times.append(time.perf_counter() - start)
        start = time.perf_counter()
        results = [pool.apply_async(same, (i,)) for i in range(CALLS)]
        total = sum(result.get() for result in results)
        seconds = time.perf_counter() - start
    assert total == CALLS * (CALLS - 1) // 2
    print(json.dumps({"us": statistics.median(times) * 1e6, "rate": CALLS / seconds}))


if __name__ == "__main__":
    main()
