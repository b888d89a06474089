//! Messages by sender: each is checked here and handed to the module that decides.

mod gate;
mod worker;
