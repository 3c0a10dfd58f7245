"""For all tests: `pytester`, which runs pytest inside a test."""

pytest_plugins = "pytester"
