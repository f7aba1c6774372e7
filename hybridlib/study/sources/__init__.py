"""One reader a product: from a file as it is published to the schema."""
