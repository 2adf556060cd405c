"""Names that follow from other names, made fit for folders, projects and buckets."""

import re

# Beside the pipelines' own folders in `.lfvpipe`.
_TAKEN = {"cache", "service", "buckets", "kept"}
_DEVICES = {"con", "prn", "aux", "nul"} | {
    f"{port}{number}" for port in ("com", "lpt") for number in range(1, 10)
}


def is_reserved(name: str) -> bool:
    """Tell whether a folder cannot be called `name`, on Windows or because it is taken."""
    return name.lower() in _TAKEN or name.lower().partition(".")[0] in _DEVICES


def pipeline_name(stem: str) -> str:
    """Return a pipeline's name from its file's `stem`."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("-._")[:64].rstrip(".") or "pipeline"
    return f"pipeline-{name}"[:64].rstrip(".") if is_reserved(name) else name


def project_name(name: str) -> str:
    """Return a project's name from a pipeline's."""
    return name.replace(".", "-")


def bucket_name(project: str) -> str:
    """Return a bucket's name from a project's; S3 allows 3 to 63 characters, none a capital."""
    name = re.sub(r"[^a-z0-9-]+", "-", project.lower()).strip("-")[:63].rstrip("-")
    kept = re.match(r"xn--|sthree-|amzn-s3-demo-|.*(-s3alias|--ol-s3|--x-s3|--table-s3)$", name)
    return f"lfvpipe-{name}-images"[-63:].strip("-") if kept or len(name) < 3 else name
