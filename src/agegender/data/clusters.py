"""Which faces must never straddle parts: identical files, and faces of one identity."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd


def cluster_ids(sha256: pd.Series[str], identity: pd.Series[str]) -> npt.NDArray[np.int64]:
    """Cluster of each face, numbered 0, 1, ... by first appearance.

    Two faces share a cluster when a chain of equal files or equal identities joins them; a missing
    identity joins nothing.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    # a graph of faces, files and identities as nodes, with an edge from a face to its file and identity
    count = len(sha256)
    files, _ = pd.factorize(sha256)
    people, _ = pd.factorize(identity)  # -1 where missing
    known = np.flatnonzero(people >= 0)
    first_person = count + int(files.max(initial=-1)) + 1
    heads = np.concatenate([np.arange(count), known])
    tails = np.concatenate([count + files, first_person + people[known]])
    nodes = first_person + int(people.max(initial=-1)) + 1
    graph = coo_array((np.ones(len(heads), dtype=np.int8), (heads, tails)), shape=(nodes, nodes))
    _, labels = connected_components(graph, directed=False)
    clusters, _ = pd.factorize(labels[:count])
    return clusters.astype(np.int64)
