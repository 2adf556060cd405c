"""The service's state in SQLite: rows as frozen dataclasses, short transactions."""
