"""How providers and models are doing: outages, and the figures of the last hour."""
