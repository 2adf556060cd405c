"""REST-JSON from botocore's service model: routes, parsing, validation, serialisation, errors.

Nothing here knows an operation, a resource or an error by name.
"""
