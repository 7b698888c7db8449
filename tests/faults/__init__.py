"""Every fault that a fleet may meet, injected, and what must hold then; `deploy/FAULTS.md` is the table."""

import pytest

pytest.register_assert_rewrite("tests.faults.survivor")
