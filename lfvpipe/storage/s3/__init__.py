"""Buckets on S3: obstore carries the objects, boto3 administers the buckets."""
