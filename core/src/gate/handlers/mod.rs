//! What arrives, by sender: checked, then given to the module that decides.

mod client;
mod manager;
