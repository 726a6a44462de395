"""The report of an evaluation: a page for people, its plots, and a model card.

Owns templates, geometry and wording; knows no request and no database.
"""
