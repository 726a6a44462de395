"""Evaluation: measured facts about a model, from the runtime that serves it."""
