"""The OCI image specification as values (digests, descriptors, manifests, configs, references), without I/O."""
