"""The rules that a set of images must keep before anything is created."""
