"""The documented quotas and rules of Lookout for Vision, as constants.

Source: Amazon Lookout for Vision Developer Guide (June 2023), "Quotas" and "Preparing images".
Sizes are in bytes, sides in pixels, counts in images unless said otherwise.
"""

from typing import Final

MIN_SIDE: Final = 64
MAX_SIDE: Final = 4096
MAX_IMAGE_BYTES: Final = 8 * 1024 * 1024

# With a test dataset of its own.
MIN_TRAIN_NORMAL: Final = 10
MIN_TRAIN_ANOMALY: Final = 0
MIN_TEST_NORMAL: Final = 10
MIN_TEST_ANOMALY: Final = 10
# A single-dataset project: the service splits it internally.
MIN_SINGLE_NORMAL: Final = 20
MIN_SINGLE_ANOMALY: Final = 10

MAX_TRAIN_IMAGES: Final = 16_000
MAX_TEST_IMAGES: Final = 4_000
MAX_SEGMENTATION_TRAIN_IMAGES: Final = 8_000
MAX_SEGMENTATION_TEST_IMAGES: Final = 800

# Anomaly labels: the types of a segmentation project.
MAX_ANOMALY_LABELS: Final = 100
MAX_ANOMALY_LABELS_PER_IMAGE: Final = 20
MIN_IMAGES_PER_ANOMALY_LABEL_SINGLE: Final = 20
MIN_IMAGES_PER_ANOMALY_LABEL: Final = 10  # in each of the two datasets
BACKGROUND_CLASS: Final = "BACKGROUND"
BACKGROUND_COLOUR: Final = "#FFFFFF"

MAX_MANIFEST_BYTES: Final = 1024**3
MAX_MANIFEST_LINE: Final = 8192  # characters
MAX_CHANGES_BYTES: Final = 10_485_760  # of one UpdateDatasetEntries call

MAX_CONCURRENT_TRAININGS: Final = 2
MAX_INFERENCE_UNITS: Final = 5
MAX_TAGS: Final = 200
IDEMPOTENCY_SECONDS: Final = 8 * 3600
