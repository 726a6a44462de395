"""tunery: fine-tune a transformer over HTTP, prove it, hot-load it, serve it."""

__version__ = "0.1.0"
