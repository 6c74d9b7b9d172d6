"""The Train page: form, queue and history."""
