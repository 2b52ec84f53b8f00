"""Network adapter: how Headway talks to registries."""
