"""Expected sun and building load, from arrays, weather and the site's own meters. Pure."""
