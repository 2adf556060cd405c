"""The Lookout for Vision API: client, waiters, rules."""
