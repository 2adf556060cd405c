"""The upload step: the bucket's images in line with the index."""
