"""The commands: each has a module of its name, which defines its arguments and runs it."""
