"""The extract step: selected images out of their archives, verified, prepared, indexed."""
