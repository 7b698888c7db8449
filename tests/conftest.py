"""Fixtures are real things: a real Redis, a real S3 server, real processes. One file per thing."""

pytest_plugins = ["tests.fixtures.redis", "tests.fixtures.s3"]
