"""Migrations: forward only, one revision per change of a table."""
