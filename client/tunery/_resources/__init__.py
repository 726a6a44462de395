"""The namespaces of `Client`, one module each: `client.datasets.list()` and their like.

Each method is one call of `_calls`, or a loop over some. `_async_resources` says the same with
await; a test compares the two.
"""
