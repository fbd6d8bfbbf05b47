"""Publishes so many no-op tasks of 1 KB over one connection, and prints how many a second that were."""

import sys
import time

from app import app, nothing

count = int(sys.argv[1])
text = "x" * 1024
with app.producer_pool.acquire(block=True) as producer:
    began = time.perf_counter()
    for _ in range(count):
        nothing.apply_async((text,), producer=producer)
    print(count / (time.perf_counter() - began))
