"""Manifests of Lookout for Vision: JSON Lines, an image a line; read and written here alone."""
