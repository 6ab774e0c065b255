//! The tracker: who is in which swarm, and the relay of signals between members.
