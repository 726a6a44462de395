"""Cells: what a label may be, whatever the task makes of it."""

import unicodedata

MAX_LABEL = 256  # characters


class CellUnusable(Exception):
    """A label cell holds nothing that can be learned; `code` is that of the finding."""

    def __init__(self, code: str, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.hint = hint


def require_label(label: str, shown: str) -> str:
    """Return a label that can be one; `shown` is how a message quotes it.

    Raises:
        CellUnusable: it is blank, too long, or holds a control character.
    """
    # A tab is let through: spreadsheets put it before what they would take for a formula.
    if (
        not label.strip()
        or len(label) > MAX_LABEL
        or any(
            unicodedata.category(character) in ("Cc", "Cs") and character != "\t"
            for character in label
        )
    ):
        size = f" of {len(label):,} characters" if len(label) > MAX_LABEL else ""
        raise CellUnusable("invalid-label", f"the label {shown}{size} can't be one")
    return label
