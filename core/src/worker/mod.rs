//! The worker: executes runs while it holds unexpired confirmations.
