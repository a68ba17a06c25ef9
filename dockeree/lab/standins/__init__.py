"""Stand-ins for the licensed images: they keep the documented contract, and are called stand-ins wherever they show."""
