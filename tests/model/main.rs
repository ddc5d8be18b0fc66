//! State machines, explored: every interleaving in small worlds, a million steps in a random one.

mod refresh;
