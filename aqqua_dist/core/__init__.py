"""Words, units and files that every part stands on."""
