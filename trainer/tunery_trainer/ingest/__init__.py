"""Ingest: turns uploaded files into a dataset, or says line by line why it can't.

    lines         bytes -> physical lines           columns       which column holds what
    csv_blocks    blocks -> rows, the fast way      csv_rows      lines -> rows, the careful way
    jsonl_rows    JSON -> rows                      parquet_rows  record batches -> rows
    rows          one file's usable rows, every other one reported
    gather        the rows of all files -> table: a few numbers a row, texts on the disk
    near, units   which texts are nearly, or quite, the same
    labels  duplicates  leakage  profile  personal_data    what is said about them
    transforms    recorded changes                  splits        rows -> train, validation, test
    store         the splits as Parquet             program       all of it, as a child runs it

Imports no torch. The files are hostile: nothing here evaluates, unpickles or unpacks.
"""
