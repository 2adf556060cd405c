"""The datasets step: the project's datasets in line with the manifests."""
