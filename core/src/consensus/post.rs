//! The envelope of everything a member says.

use super::command::Command;
use super::{Body, Member, Message};
use crate::ids::{DiskId, GroupId, Lsn, Term};
use crate::machine::Cx;

/// Who speaks, in which term, and the record of that term.
#[derive(Clone, Copy, Debug)]
pub(super) struct Post {
    pub(super) group: GroupId,
    pub(super) from: Member,
    pub(super) term: Term,
    pub(super) ballot: Lsn,
}

impl Post {
    /// Sends what promises nothing beside the term: it rests on the ballot, so that a slow sync of
    /// entries stops neither heartbeats nor their answers.
    pub(super) fn send<C: Command>(&self, cx: &mut Cx<'_>, to: Member, body: Body<C>) {
        self.send_after(cx, Lsn::new(0), to, body);
    }

    /// Sends what also promises that the journal is durable up to `lsn`.
    pub(super) fn send_after<C: Command>(
        &self,
        cx: &mut Cx<'_>,
        lsn: Lsn,
        to: Member,
        body: Body<C>,
    ) {
        let Self { group, from, term, ballot } = *self;
        let message = C::message(Message { group, from, to: to.disk, term, body });
        cx.out.send_resting_on(ballot.max(lsn), to.node, message);
    }

    /// Speaks to a node whose disk is not known.
    pub(super) fn call<C: Command>(&self, cx: &mut Cx<'_>, to: crate::ids::NodeId, body: Body<C>) {
        self.send(cx, Member { node: to, disk: DiskId::default() }, body);
    }
}
