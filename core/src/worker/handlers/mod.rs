//! Received input -> checked -> the module that decides. One file per sender.

mod engine;
mod manager;
