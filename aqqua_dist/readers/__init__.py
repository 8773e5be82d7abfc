"""One module per source format; each returns tables in the package's own words."""
