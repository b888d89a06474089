//! Who is fit to be relied on. All of it informs; leases decide.

pub mod signals;
