"""The namespaces of `AsyncClient`: what `_resources` says, with await; a test compares the two."""
