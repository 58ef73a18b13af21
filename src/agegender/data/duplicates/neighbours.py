"""Hashes that differ in few bits, among millions, without comparing all with all.

Under a random order of the bits, two hashes that differ in few of them often share a long prefix and so
lie side by side once sorted; several orders leave little to chance (Charikar, "Similarity estimation
techniques from rounding algorithms", STOC 2002). The cost is that of sorting, O(n log n), whatever the
hashes are: a million copies of one image cost no more than a million different ones.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from agegender.core.seeding import stream

Hashes = npt.NDArray[np.uint64]
Ints = npt.NDArray[np.int64]

ORDERS = 16
REACH = 8
"""Neighbours looked at to either side, in each order."""
MAX_BITS = 12


class Neighbours:
    """An index of `hashes_N`; memory is about 16 bytes x ORDERS a hash."""

    def __init__(self, hashes_N: Hashes) -> None:
        self._hashes_N = hashes_N
        rng = stream(0, "duplicates", "bit orders")
        self._orders = []
        for _ in range(ORDERS):
            bits = rng.permutation(64)
            keys_N = _reordered(hashes_N, bits)
            order_N = np.argsort(keys_N, kind="stable")
            self._orders.append((bits, keys_N[order_N], order_N))

    def close_to(self, hashes_Q: Hashes, start: int = 0) -> tuple[Ints, Ints]:
        """Pairs (q, n) of a query and an indexed hash at most MAX_BITS apart, each once, sorted.

        Query q is a variant of the indexed image `start` + q, with which it is not paired.
        """
        count = len(self._hashes_N)
        found = [np.empty(0, np.int64)]
        for bits, keys_N, order_N in self._orders:
            keys_Q = _reordered(hashes_Q, bits)
            by_key_Q = np.argsort(keys_Q)  # neighbouring queries look at neighbouring entries
            place_Q = np.searchsorted(keys_N, keys_Q[by_key_Q])
            for step in range(-REACH, REACH):
                at_Q = place_Q + step
                inside = (at_Q >= 0) & (at_Q < count)
                query, near = by_key_Q[inside], order_N[at_Q[inside]]
                close = np.bitwise_count(hashes_Q[query] ^ self._hashes_N[near]) <= MAX_BITS
                close &= query + start != near
                found.append(query[close] * count + near[close])
            found = [np.unique(np.concatenate(found))]
        query, near = np.divmod(found[0], count)
        return query, near


def _reordered(hashes_N: Hashes, bits: npt.NDArray[np.int64]) -> Hashes:
    """The hashes with their bits in another order, the first the most significant."""
    bits_N64 = np.unpackbits(hashes_N.view(np.uint8).reshape(-1, 8), axis=1)
    packed = np.packbits(np.ascontiguousarray(bits_N64[:, bits]), axis=1)
    return np.ascontiguousarray(packed).view(">u8").ravel().astype(np.uint64)
