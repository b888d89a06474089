//! Guard rails of the repository: its shape, its dependencies and its register of invariants.
//!
//! Each rule is a pure function from text to findings. One test applies it to the tree, and others
//! feed it bad snippets, because a rule that cannot fail guards nothing.

mod catalogue;
mod dependencies;
mod modules;
mod probes;
mod register;
mod scan;
mod tidy;
mod tree;
