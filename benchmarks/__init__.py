"""How fast the parts are, as ratios against peers in the same run."""
