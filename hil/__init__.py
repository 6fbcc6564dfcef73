"""Hardware in the loop: simulated meters, faults and the rig."""
