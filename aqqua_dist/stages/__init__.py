"""The order of work; each stage reads files and writes its own."""
