"""The portal: setting up pickup, watching lamps and managing phones in a browser."""
