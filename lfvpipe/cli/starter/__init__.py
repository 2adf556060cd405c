"""How `lfvpipe init` comes to a pipeline file: looks at photographs, asks what is open, writes.

`discovery` goes through folders, archives and lists; `sorting`, `name_reading` and their neighbours
read labels, groups and sides from folders and names; `undecided`, `open_words` and `products` ask
about the rest; `starter_file` writes what came of it.
"""
