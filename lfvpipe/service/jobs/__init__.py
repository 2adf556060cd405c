"""Work that outlives a request: dataset contents, training, hosting, deletion, packaging.

An operation commits what is to be done as a row's status (TRAINING, STARTING_HOSTING, …) and
returns; the scheduler then gets somebody to do it. Every job holds an OS lock while it lives and
ends with one transaction that writes the next status. So a status that promises work whose lock
is free belongs to a process that died, and whoever comes across the row does the job again: each
is idempotent up to its last transaction.
"""
