"""Work that outlives a request: dataset contents, training, hosting, deletion, packaging.

Every job holds an OS lock while it lives. A transitional state whose lock is free belongs to a
process that died, and whoever sees it does the job again.
"""
