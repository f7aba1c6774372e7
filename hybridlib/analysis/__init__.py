"""What chapters measure; each module returns labelled data or a flat table of numbers."""
