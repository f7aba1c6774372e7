"""The study's figures and tables, as functions of a prepared study's datasets."""
