"""Parts of an encoder, told by the names of its weights, as BERT and DistilBERT have them."""

import re

_EMBEDDINGS = re.compile(r"(^|\.)embeddings\.")
_LAYER = re.compile(r"(^|\.)layers?\.(\d+)\.")


def is_embedding(name: str) -> bool:
    """Return whether a weight is one of the embeddings."""
    return _EMBEDDINGS.search(name) is not None


def layer_of(name: str) -> int:
    """Return the number of the layer that a weight belongs to; -1 for the embeddings."""
    found = _LAYER.search(name)
    return int(found[2]) if found else -1


def part_of(name: str) -> str | int:
    """Return what `freeze` calls the part of a weight; -1 for what it has no word for."""
    return "embeddings" if is_embedding(name) else layer_of(name)
