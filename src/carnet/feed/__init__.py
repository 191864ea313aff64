"""The revocation feed's form and rules, without any I/O: what the issuer writes, what relays carry, what guards keep.

An *entry* says that something has been taken back. The issuer numbers entries in the order of their commits, signs them in
*messages* (also as heartbeats, with none) and, for whoever starts or has lost the thread, in *snapshots*. A guard's *follower*
keeps the *epoch map* that results, and knows how stale it is.
"""
