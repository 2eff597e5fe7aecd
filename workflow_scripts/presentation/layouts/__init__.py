"""Layouts of tables, one a file, found by name: ``layout(numbers, spec) -> Layout``. Adding one is adding its file."""
