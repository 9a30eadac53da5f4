"""Where ratings come from: registry, downloads, parsers to canonical tables, the simulator."""
