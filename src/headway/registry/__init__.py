"""Network adapter: requests to registries, from name lookup and TLS up to pulls, pushes, searches and logins."""
