"""The map of mpi4py.futures with its best chunk size, on one worker or on two:

mpirun -n 2 python3 -m mpi4py.futures map-futures.py; or with three ranks
"""

import json
import os

from mpi4py import MPI
from mpi4py.futures import MPIPoolExecutor

# The workers look for it there, too.
HERE = os.path.dirname(os.path.abspath(__file__))


def main(workers):
    from items import find_balance, find_rate

    with MPIPoolExecutor(workers, path=[HERE]) as pool:

        def map_items(function, items, chunk):
            return pool.map(function, items, chunksize=chunk, unordered=True)

        print(json.dumps((find_rate if workers == 1 else find_balance)(map_items)))


if __name__ == "__main__":
    size = MPI.COMM_WORLD.Get_size()
    # One that was built for another MPI sees nobody but itself, and would run several times.
    if size > 1:
        main(size - 1)
    else:
        library = MPI.Get_library_version().split(",")[0].strip()
        print(json.dumps({"missing": f"mpi4py here is built for {library}"}))
