"""Runs moments.sql in a folder by DuckDB, and writes its tables as csv, which the library reads without polars."""

import os
import sys

import duckdb

os.chdir(sys.argv[1])
connection = duckdb.connect()
with open("moments.sql") as script:
    connection.execute(script.read())
for name in ["cells", "totals"]:
    connection.execute(f"COPY (SELECT * FROM '{name}.parquet') TO '{name}.csv' (FORMAT csv, HEADER)")
    os.remove(f"{name}.parquet")
