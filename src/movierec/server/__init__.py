"""The REST API: `movierec serve` and what it answers with."""
