"""The service's state in SQLite: a module for each table, rows as frozen dataclasses.

Only these modules speak SQL. Their functions take the transaction they act in, so that an
operation's effects, on whatever tables, commit or vanish together.
"""
