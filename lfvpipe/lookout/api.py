"""The 22 operations of Lookout for Vision as boto3 offers them."""
# ruff: noqa: N803  (the API's parameters are written in capitals, and boto3 takes them so)

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import IO, Any, Literal, Protocol, TypedDict

DatasetType = Literal["train", "test"]
DATASET_TYPES: tuple[DatasetType, DatasetType] = ("train", "test")
Response = Mapping[str, Any]


class Tag(TypedDict):
    """A tag of a model."""

    Key: str
    Value: str


class LookoutClient(Protocol):
    """A boto3 `lookoutvision` client; every operation raises botocore's `ClientError`.

    Attributes:
        exceptions: The modelled errors, such as ``exceptions.ResourceNotFoundException``.
        meta: The client's metadata; ``meta.endpoint_url`` says whom it talks to.
    """

    exceptions: Any
    meta: Any

    def get_paginator(self, operation_name: str) -> Any:
        """Return the paginator of ``list_…``."""

    def create_project(self, *, ProjectName: str, ClientToken: str = ...) -> Response:
        """Create a project."""

    def describe_project(self, *, ProjectName: str) -> Response:
        """Describe a project and its datasets."""

    def list_projects(self, *, NextToken: str = ..., MaxResults: int = ...) -> Response:
        """List the projects."""

    def delete_project(self, *, ProjectName: str, ClientToken: str = ...) -> Response:
        """Delete a project that has neither models nor datasets."""

    def create_dataset(
        self,
        *,
        ProjectName: str,
        DatasetType: DatasetType,
        DatasetSource: Mapping[str, Any] = ...,
        ClientToken: str = ...,
    ) -> Response:
        """Create an empty dataset, or one from a manifest."""

    def describe_dataset(self, *, ProjectName: str, DatasetType: DatasetType) -> Response:
        """Describe a dataset."""

    def list_dataset_entries(
        self,
        *,
        ProjectName: str,
        DatasetType: DatasetType,
        Labeled: bool = ...,
        AnomalyClass: Literal["normal", "anomaly"] = ...,
        BeforeCreationDate: datetime | str = ...,
        AfterCreationDate: datetime | str = ...,
        NextToken: str = ...,
        MaxResults: int = ...,
        SourceRefContains: str = ...,
    ) -> Response:
        """List a dataset's JSON lines."""

    def update_dataset_entries(
        self,
        *,
        ProjectName: str,
        DatasetType: DatasetType,
        Changes: bytes | str,
        ClientToken: str = ...,
    ) -> Response:
        """Add or replace a dataset's JSON lines."""

    def delete_dataset(
        self, *, ProjectName: str, DatasetType: DatasetType, ClientToken: str = ...
    ) -> Response:
        """Delete a dataset."""

    def create_model(
        self,
        *,
        ProjectName: str,
        OutputConfig: Mapping[str, Any],
        Description: str = ...,
        ClientToken: str = ...,
        KmsKeyId: str = ...,
        Tags: Sequence[Tag] = ...,
    ) -> Response:
        """Start training a new model version."""

    def describe_model(self, *, ProjectName: str, ModelVersion: str) -> Response:
        """Describe a model version."""

    def list_models(
        self, *, ProjectName: str, NextToken: str = ..., MaxResults: int = ...
    ) -> Response:
        """List a project's model versions."""

    def delete_model(
        self, *, ProjectName: str, ModelVersion: str, ClientToken: str = ...
    ) -> Response:
        """Delete a model version."""

    def start_model(
        self,
        *,
        ProjectName: str,
        ModelVersion: str,
        MinInferenceUnits: int,
        ClientToken: str = ...,
        MaxInferenceUnits: int = ...,
    ) -> Response:
        """Start hosting a trained model version."""

    def stop_model(
        self, *, ProjectName: str, ModelVersion: str, ClientToken: str = ...
    ) -> Response:
        """Stop hosting a model version."""

    def detect_anomalies(
        self,
        *,
        ProjectName: str,
        ModelVersion: str,
        Body: bytes | IO[bytes],
        ContentType: str,
    ) -> Response:
        """Judge one image."""

    def list_tags_for_resource(self, *, ResourceArn: str) -> Response:
        """List a model's tags."""

    def tag_resource(self, *, ResourceArn: str, Tags: Sequence[Tag]) -> Response:
        """Add or replace tags of a model."""

    def untag_resource(self, *, ResourceArn: str, TagKeys: Sequence[str]) -> Response:
        """Remove tags of a model."""

    def start_model_packaging_job(
        self,
        *,
        ProjectName: str,
        ModelVersion: str,
        Configuration: Mapping[str, Any],
        JobName: str = ...,
        Description: str = ...,
        ClientToken: str = ...,
    ) -> Response:
        """Start packaging a model version as a component."""

    def describe_model_packaging_job(self, *, ProjectName: str, JobName: str) -> Response:
        """Describe a packaging job."""

    def list_model_packaging_jobs(
        self, *, ProjectName: str, NextToken: str = ..., MaxResults: int = ...
    ) -> Response:
        """List a project's packaging jobs."""
