"""imap_unordered of multiprocessing.Pool, with its best chunk size."""

import json
import multiprocessing

from items import find_balance, find_rate


def main():
    found = {}
    for workers, find in ((1, find_rate), (2, find_balance)):
        with multiprocessing.Pool(workers) as pool:
            found.update(find(pool.imap_unordered))
    print(json.dumps(found))


if __name__ == "__main__":
    main()
