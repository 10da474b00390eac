"""The commands: each has a module of its name, which describes what arguments it takes and runs it."""
