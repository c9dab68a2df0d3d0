"""Days that differ from the weekly rule: holidays, closed days, half days. PURE."""
