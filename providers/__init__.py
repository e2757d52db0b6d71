"""How clouds are spoken to. Plain Python: imports no other room, not even Django."""
