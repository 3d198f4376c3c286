"""What holds for every runtime."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from napari_unetseg.errors import Cancelled


def test_threads_share_a_backend_but_not_a_cancel_flag(make, runtime):
    backend = runtime(make.network())
    rng = np.random.default_rng(0)
    batches = [rng.random((1, 3, 32, 32)).astype(np.float32) for _ in range(8)]
    expected = [backend.run(batch) for batch in batches]
    met = threading.Barrier(4)

    def work(index):
        if index < 4:
            met.wait(60)
        try:
            return backend.run(batches[index], lambda: index % 2 == 1)
        except Cancelled:
            return None

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(work, range(8)))
    for index, result in enumerate(results):
        if index % 2:
            assert result is None
        else:
            np.testing.assert_allclose(result, expected[index], atol=1e-5)
