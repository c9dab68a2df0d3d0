"""Real processes, started with the Procfile's own commands, on a database and a broker of their own."""
