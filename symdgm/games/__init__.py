"""Games: players with objectives of their own, critics of divergences, networks that follow others."""
