"""Everything that computes: ingest, fine-tuning, evaluation, the inference engine.

Each program here takes a spec and answers with events, so it runs and is debugged without a server.
"""
