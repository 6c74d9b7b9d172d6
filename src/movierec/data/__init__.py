"""Rating data: obtaining it, reading it, checking it, holding it, splitting it."""
