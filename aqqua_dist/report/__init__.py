"""What is handed on: Darwin Core, tables for EcoTaxa."""
