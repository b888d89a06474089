//! placeholder

pub mod clock;
pub mod demo;
pub mod load;
