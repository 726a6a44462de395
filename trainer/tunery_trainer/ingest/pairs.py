"""Pairs: a text and the one beside it, held as one string with a NUL between.

No cell holds a NUL, so that whatever compares, counts or spools texts does the same with pairs.
"""

import pyarrow as pa
import pyarrow.compute as pc

PARTING = "\0"


def joined(rows: pa.Table) -> pa.Table:
    """Return rows whose `text` holds the pair; unchanged where `text_pair` is null."""
    pairs = rows.column("text_pair")
    if pairs.null_count == len(pairs):
        return rows
    whole = pc.binary_join_element_wise(rows.column("text"), pairs, PARTING)
    return rows.set_column(rows.column_names.index("text"), "text", whole)


def parted(text: str) -> tuple[str, str | None]:
    """Return the first text and the second, null where there is only one."""
    first, parting, second = text.partition(PARTING)
    return first, second if parting else None


def parted_all(texts: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Return the first texts and the second ones; shapes: (rows) each."""
    first, second = zip(*map(parted, texts.to_pylist()), strict=True)
    return pa.array(first, pa.string()), pa.array(second, pa.string())


def told(text: str) -> str:
    """Return a text or a pair as a message may show it."""
    return text.replace(PARTING, " | ")
