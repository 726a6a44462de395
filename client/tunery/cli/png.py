"""PNG: a plot as pixels, for slides and chats that take no SVG.

Drawn by whoever asks, who has fonts for their labels; a server often has none.
"""

from tunery.cli.programs import require
from tunery.cli.terminal import Terminal

_ZOOM = 2.0  # pixels for each of the drawing's own, so that it stays sharp on a dense screen


def require_png(terminal: Terminal) -> None:
    """Refuse where what draws is not installed.

    Raises:
        CommandFailed: it is not.
    """
    require(
        ("resvg_py",),
        terminal.translate(
            "a PNG needs resvg, which is not installed here. Install it:\n"
            "    pip install 'tunery[png]'"
        ),
    )


def png_of(svg: str) -> bytes:
    """Return a drawing as a PNG on white."""
    import resvg_py

    return resvg_py.svg_to_bytes(svg_string=svg, background="white", zoom=_ZOOM)
