"""Published process rates: one function per author and year, with its units, range and source."""
