//! Plain data of the worker.

mod ending;
mod grant;
mod parks;
mod run_view;
mod transition;

pub(super) use ending::Ending;
pub(super) use grant::Grant;
pub(super) use parks::Parks;
pub use run_view::RunView;
pub use transition::may_go;
pub(super) use transition::{Move, next};
