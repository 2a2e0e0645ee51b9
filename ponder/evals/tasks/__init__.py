"""One file per benchmark; each registers itself."""
