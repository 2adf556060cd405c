"""The review of doubtful and wrong images: a page on this machine, and a file of decisions."""
