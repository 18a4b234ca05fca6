"""What a fit says: tidy tables, one text, and the experts in words; a file a model class."""
