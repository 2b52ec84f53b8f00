"""The Docker Engine API over Headway's services: its server, routes, the shapes of its JSON, streams and statuses."""
