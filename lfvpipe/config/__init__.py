"""YAML in, a validated, frozen, typed pipeline out."""
