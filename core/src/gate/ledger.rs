//! The gate ledger: placeholder of the contract, see the module's owner.

use serde::{Deserialize, Serialize};

/// The ledger.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct GateLedger {}
