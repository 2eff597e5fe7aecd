"""How artifacts lie on disk: folders with a manifest, typed tables, TREC runs."""
