"""Units: rows whose texts are the same but for case and signs, and which units are near duplicates.

A unit is never parted by a split. Units that belong together (near duplicates, or rows of one
group) are a cluster.
"""

from dataclasses import dataclass

import numpy as np

from tunery_trainer.ingest.near import Pairs
from tunery_trainer.ingest.table import Hashes, Ints, Table


@dataclass(frozen=True)
class Units:
    """The units of a table.

    Shapes: `of_row` (rows,), the unit of each row; `keys` (units,); `first` (units,), the first row
    of each; `pairs` (pairs, 2), the units that are near duplicates.
    """

    of_row: Ints
    keys: Hashes
    first: Ints
    pairs: Pairs

    def near(self, units: Ints) -> Ints:
        """Return the units that are near duplicates of some units."""
        marked = np.zeros(len(self.keys), np.bool_)
        marked[units] = True
        left, right = self.pairs[:, 0], self.pairs[:, 1]
        return np.unique(np.concatenate([right[marked[left]], left[marked[right]]]))


def units_of(table: Table) -> Units:
    """Return the units of all rows; their pairs are still unknown."""
    keys, first, of_row = np.unique(table.keys, return_index=True, return_inverse=True)
    return Units(of_row.reshape(-1), keys, first, np.empty((0, 2), np.int64))


def clusters_of(count: int, links: Pairs) -> Ints:
    """Return the cluster of each node: the least node that it is linked with, over others too.

    Shapes: links (links, 2); returns (count,).
    """
    linked, ends = np.unique(links, return_inverse=True)
    parents = list(range(len(linked)))

    def root(node: int) -> int:
        while parents[node] != node:
            parents[node] = parents[parents[node]]
            node = parents[node]
        return node

    for left, right in ends.reshape(-1, 2).tolist():
        first, second = root(left), root(right)
        parents[max(first, second)] = min(first, second)
    clusters = np.arange(count)
    clusters[linked] = linked[[root(node) for node in range(len(linked))]]
    return clusters
