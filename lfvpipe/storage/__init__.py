"""One small face over object stores: folders of this machine, or S3."""
