"""What is known of a set of images: names, labels, masks, samples, the index, and checks.

Knows neither steps nor AWS.
"""
