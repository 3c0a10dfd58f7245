"""What we ask: probes, their readers and the bundled sets."""
