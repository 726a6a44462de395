"""Ingest: turns uploaded files into a dataset, or says line by line why it can't.

    lines      bytes -> physical lines            columns   which column holds what
    csv_rows   lines -> cells                     rows      cells -> rows, every bad one reported
    jsonl_rows lines -> cells                     labels    duplicates    leakage    checks
    splits     rows -> train, validation, test    program   the whole of it, as a child runs it

Imports no torch. The files are hostile: nothing here evaluates, unpickles or unpacks.
"""
