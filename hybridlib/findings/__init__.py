"""The paper's claims in one table, and the one judge that holds them against measures."""
