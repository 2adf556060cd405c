"""What the service allows; the defaults are the documented quotas."""

from dataclasses import dataclass

from lfvpipe.lookout import rules


@dataclass(frozen=True)
class Quotas:
    """The service's limits: counts of images unless the name says otherwise.

    Attributes:
        projects: Most projects; the real number was never published.
        models_per_project: Most model versions that exist at once in a project; likewise.
        hosted_models: Most models hosted at once; likewise.
        concurrent_trainings: Most trainings at once; the rest wait in line.
        training_attempts: How often a training whose process died is started again.
    """

    min_side: int = rules.MIN_SIDE
    max_side: int = rules.MAX_SIDE
    max_image_bytes: int = rules.MAX_IMAGE_BYTES
    min_train_normal: int = rules.MIN_TRAIN_NORMAL
    min_train_anomaly: int = rules.MIN_TRAIN_ANOMALY
    min_test_normal: int = rules.MIN_TEST_NORMAL
    min_test_anomaly: int = rules.MIN_TEST_ANOMALY
    min_single_normal: int = rules.MIN_SINGLE_NORMAL
    min_single_anomaly: int = rules.MIN_SINGLE_ANOMALY
    max_train_images: int = rules.MAX_TRAIN_IMAGES
    max_test_images: int = rules.MAX_TEST_IMAGES
    max_segmentation_train_images: int = rules.MAX_SEGMENTATION_TRAIN_IMAGES
    max_segmentation_test_images: int = rules.MAX_SEGMENTATION_TEST_IMAGES
    max_anomaly_labels: int = rules.MAX_ANOMALY_LABELS
    max_manifest_bytes: int = rules.MAX_MANIFEST_BYTES
    max_manifest_line: int = rules.MAX_MANIFEST_LINE
    max_tags: int = rules.MAX_TAGS
    inference_units: int = rules.MAX_INFERENCE_UNITS
    token_seconds: float = rules.IDEMPOTENCY_SECONDS
    projects: int = 1000
    models_per_project: int = 10_000
    hosted_models: int = 100
    concurrent_trainings: int = rules.MAX_CONCURRENT_TRAININGS
    training_attempts: int = 5
