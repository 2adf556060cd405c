"""The console: pages in a browser over the state of `lfvpipe serve`, by the same operations."""
