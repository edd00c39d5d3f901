"""mpi4py.futures: mpirun -n 2 python3 -m mpi4py.futures futures.py"""

import json
import statistics
import time

from mpi4py import MPI
from mpi4py.futures import MPIPoolExecutor

TRIPS = 200
CALLS = 500


def same(x):
    return x


def main():
    with MPIPoolExecutor(1) as pool:
        for i in range(100):
            pool.submit(same, i).result()
        times = []
        for i in range(TRIPS):
            start = time.perf_counter()
            pool.submit(same, i).result()
            times.append(time.perf_counter() - start)
        start = time.perf_counter()
        futures = [pool.submit(same, i) for i in range(CALLS)]
        total = sum(future.result() for future in futures)
        seconds = time.perf_counter() - start
    assert total == CALLS * (CALLS - 1) // 2
    print(json.dumps({"us": statistics.median(times) * 1e6, "rate": CALLS / seconds}))


if __name__ == "__main__":
    # One that was built for another MPI sees nobody but itself, and would run twice.
    if MPI.COMM_WORLD.Get_size() == 2:
        main()
    else:
        library = MPI.Get_library_version().split(",")[0].strip()
        print(json.dumps({"missing": f"mpi4py here is built for {library}"}))
