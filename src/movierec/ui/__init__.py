"""The dashboard: a folder per page, and components that pages share."""
