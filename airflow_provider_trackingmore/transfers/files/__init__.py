"""Files of a load: their columns and formats, the manifests that name them, and the state between loads."""
