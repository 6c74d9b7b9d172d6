"""What several pages use: frame, theme, tables, charts, inputs, the cache."""
