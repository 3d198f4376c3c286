"""Label images that files have to bring back, with holes, pieces and objects that touch."""

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

label_images = arrays(
    np.int32, st.tuples(st.integers(1, 12), st.integers(1, 12)), elements=st.sampled_from([0, 0, 1, 1, 1, 2, 3, 900])
)


def ring_and_pieces() -> np.ndarray:
    """An object with two holes, one of two pieces, and a plain one; wider than high, so that axes cannot be swapped."""
    labels = np.zeros((20, 34), np.int32)
    labels[2:12, 3:20] = 7
    labels[4:6, 5:9] = labels[8:10, 12:15] = 0
    labels[14:18, 2:9] = labels[15:17, 30:33] = 2
    labels[0:2, 24:34] = 300
    return labels
