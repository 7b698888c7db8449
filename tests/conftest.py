"""Fixtures are real things: a real Redis, a real S3 server, real processes. One file per thing."""

import hypothesis

pytest_plugins = [
    "tests.fixtures.redis",
    "tests.fixtures.s3",
    "tests.fixtures.storage",
    "tests.fixtures.ledger",
    "tests.fixtures.checkpoints",
    "tests.fixtures.evaluation",
    "tests.fixtures.chromium",
    "tests.fixtures.browser",
    "tests.fixtures.parts",
    "tests.fixtures.api",
    "tests.fixtures.fleet",
    "tests.fixtures.stack",
]

# The machine is shared and CI is slow, so no example has a deadline; the same examples on every run.
hypothesis.settings.register_profile("latentmill", deadline=None, derandomize=True)
hypothesis.settings.load_profile("latentmill")
