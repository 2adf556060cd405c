"""Trial detections: their pages, what is done with the images, and where anomalies are marked."""

from lfvpipe.console.trials import annotation, pages

__all__ = ["PAGES"]

PAGES = (*pages.PAGES, *annotation.PAGES)
