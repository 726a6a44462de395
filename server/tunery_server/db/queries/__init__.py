"""Statements, one module per resource: the only place that builds any.

Every function takes an open transaction; every answer to a client is a struct of the contract.
"""
