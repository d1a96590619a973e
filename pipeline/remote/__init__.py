"""Pictures by address: what may be fetched, how it is fetched safely, and where it is kept meanwhile."""
