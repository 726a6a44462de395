"""What the supervisor, its children and the API share: specs, events, engine messages, manifests.

Depends on msgspec and the contract alone: no torch, no litestar. It is the only part of the
trainer that the server may import.
"""
