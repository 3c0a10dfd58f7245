"""For all tests: `pytester`, which runs pytest inside a test, and how many examples are drawn."""

pytest_plugins = ("pytester", "tests.effort")
