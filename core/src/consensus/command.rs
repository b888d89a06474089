//! What a group replicates.

use serde::Serialize;

use super::{Entry, Message as GroupMessage};
use crate::journal::Record;
use crate::wire::Message;

/// A command of a ledger, with its place in the journal and on the wire.
pub trait Command: Clone + Serialize {
    /// An entry as a record.
    fn record(entry: Entry<Self>) -> Record;
    /// A group's message as a message.
    fn message(message: GroupMessage<Self>) -> Message;
}

impl<C: Clone + Serialize> Command for C
where
    Record: From<Entry<C>>,
    Message: From<GroupMessage<C>>,
{
    fn record(entry: Entry<C>) -> Record {
        entry.into()
    }

    fn message(message: GroupMessage<C>) -> Message {
        message.into()
    }
}
