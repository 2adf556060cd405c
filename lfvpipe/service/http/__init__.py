"""The service over HTTP: authentication, limits, access log, metrics, the server itself."""
