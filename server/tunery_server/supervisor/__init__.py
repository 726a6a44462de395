"""The supervisor: parent of every process, the only one that starts, stops and replaces them.

It knows no HTTP and no torch. It meets the API in the database alone.
"""
