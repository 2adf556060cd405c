"""A Lookout for Vision service of our own: the same wire protocol, our own anomaly detector."""
