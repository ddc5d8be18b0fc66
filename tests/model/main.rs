//! State machines: every interleaving of a small model, and a million random steps.

mod refresh;
