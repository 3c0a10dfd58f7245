"""The calls from Python that do what a command does: an adapter, as the plugin and the command line are."""
