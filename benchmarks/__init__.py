"""Speed and cost of ponder, each against a named peer, one command each."""
