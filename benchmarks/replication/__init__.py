"""The replication note: the paper's argument retold on the demo model, by `nox -s docs`."""
