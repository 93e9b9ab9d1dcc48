"""Making bundles, and proving that they answer as the network does. Needs torch; what reads them is `foveal.bundle`."""
