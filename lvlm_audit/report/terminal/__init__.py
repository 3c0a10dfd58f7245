"""What a person reads in the terminal: one module a command."""
