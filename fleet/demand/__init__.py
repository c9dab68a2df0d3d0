"""Work out the energy a block needs and the state of charge its vehicle must leave with. PURE."""
