"""Components of several pages: frame, theme, tables, charts, inputs, the cache."""
