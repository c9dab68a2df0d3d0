"""The door for presystems (depot management, ITCS) that speak VDV 463, in the gateway's process."""
