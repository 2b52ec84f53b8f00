"""The Docker Engine API over Headway's services: routes, shapes, streams, failures."""
