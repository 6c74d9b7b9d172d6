"""What the pages are made of: charts, tables, caches, the frame around a page."""
