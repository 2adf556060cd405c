"""The command line: it parses, calls the layers below, and prints."""
