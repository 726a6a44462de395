"""Units: rows whose texts are the same but for case and signs, and which units are near duplicates.

A unit is never parted by a split. Units that belong together (near duplicates, or rows of one
group) are a cluster.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

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


def clusters_of(count: int, links: Pairs) -> npt.NDArray[np.int64]:
    """Return the cluster of each unit: the smallest unit that it is linked with, over others too.

    Shapes: links (links, 2); returns (count,).
    """
    parents = list(range(count))

    def root(unit: int) -> int:
        while parents[unit] != unit:
            parents[unit] = parents[parents[unit]]
            unit = parents[unit]
        return unit

    for left, right in links.tolist():
        first, second = root(left), root(right)
        parents[max(first, second)] = min(first, second)
    linked = np.unique(links) if len(links) else np.empty(0, np.int64)
    clusters = np.arange(count)
    clusters[linked] = [root(unit) for unit in linked.tolist()]
    return clusters
