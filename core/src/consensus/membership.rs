//! Who comes and who goes: one committed change at a time, from the append on.
//!
//! A disk that wants in asks all its peers until it is a voter and the one it replaces is gone. The
//! leader adds it as a learner, removes the voter it replaces while another voter is left, and
//! makes it a voter when it has caught up. Nothing changes before an entry of the leader's own term
//! is committed (hole 7), nor while a change is not committed. A leader that is removed leads until
//! that is committed. Does not do: judge who is dead.

use super::command::Command;
use super::group::Group;
use super::{Body, Member, Membership, Payload};
use crate::ids::DiskId;
use crate::machine::{Cx, Wake};
use crate::stat::Stat;

/// A learner so close to the end of the log has caught up.
const CLOSE: u64 = 64;

impl<C: Command> Group<C> {
    /// Asks all peers to be let in, if that is wanted and due.
    pub(super) fn ask_to_join(&mut self, cx: &mut Cx<'_>) {
        let Some(replaces) = self.head.joining.filter(|_| self.join_at <= cx.now()) else { return };
        self.join_at = cx.now().after(self.config.election_min);
        for peer in self.config.peers.clone() {
            self.post().call(cx, peer, Body::<C>::Join { replaces });
        }
    }

    pub(super) fn join_wake(&self) -> Option<Wake> {
        self.head.joining.map(|_| Wake { at: self.join_at, why: "join" })
    }

    /// A disk wants in.
    pub(super) fn on_join(&mut self, cx: &mut Cx<'_>, from: Member, replaces: Option<DiskId>) {
        if !self.may_reconfigure() {
            return cx.count(Stat::MessageStale);
        }
        let members = self.log.membership();
        let is_member = members.members().any(|member| member == from);
        let of_node = |member: &Member| member.node == from.node && member.disk != from.disk;
        let is_listed = |disk: DiskId| members.members().any(|member| member.disk == disk);
        // A node's disk gives way only to one that names it, and with it whatever else was to.
        let gives_way = |member: Member| of_node(&member) && Some(member.disk) == replaces;
        let is_taken =
            members.members().any(|member| of_node(&member)) && !members.members().any(gives_way);
        let is_known_disk = is_listed(from.disk);
        let is_peer = self.config.peers.contains(&from.node);
        if !is_peer || is_taken || (is_known_disk && !is_member) {
            return cx.count(Stat::JoinRefused);
        }
        if !is_member {
            let mut members = members.clone();
            // A disk that was lost before it became a voter.
            members.learners.retain(|member| !of_node(member));
            if members.learners.push(from).is_err() {
                return cx.count(Stat::CapRefused);
            }
            cx.count(Stat::MemberAdded);
            self.enter(cx, None, Payload::Membership(members));
        }
        if let Some(leading) = self.leading_mut() {
            leading.wishes.insert(from.disk, replaces);
        }
    }

    /// The next step for the disks that want in, if there is one and nothing is under way.
    pub(super) fn reconfigure(&mut self, cx: &mut Cx<'_>) {
        if !self.may_reconfigure() {
            return;
        }
        let Some(leading) = self.leading() else { return };
        let steps = leading.wishes.iter().filter_map(|(disk, replaces)| {
            self.without_replaced(*replaces).map(|members| (members, Stat::MemberRemoved)).or_else(
                || self.with_voter(cx, *disk).map(|members| (members, Stat::MemberPromoted)),
            )
        });
        let Some((members, stat)) = { steps }.next() else { return };
        cx.count(stat);
        self.enter(cx, None, Payload::Membership(members));
    }

    /// A change of members is committed.
    pub(super) fn on_members_committed(&mut self, cx: &mut Cx<'_>) {
        let members = self.log.committed_membership();
        let is_voter = members.is_voter(self.me.disk);
        let is_replaced = |disk: DiskId| members.members().any(|member| member.disk == disk);
        let is_settled = |replaces: Option<DiskId>| !replaces.is_some_and(is_replaced);
        if is_voter && self.head.joining.is_some_and(is_settled) {
            self.head.joining = None;
        }
        let is_leader = self.leading().is_some();
        if is_leader && !is_voter && !self.is_voter() {
            self.stand_down(cx);
        }
    }

    fn may_reconfigure(&self) -> bool {
        self.leads && self.log.membership_index() <= self.head.index
    }

    /// The members without a voter that is replaced, if another voter is left.
    fn without_replaced(&self, replaces: Option<DiskId>) -> Option<Membership> {
        let disk = replaces?;
        let mut members = self.log.membership().clone();
        if !members.is_voter(disk) || members.voters.len() == 1 {
            return None;
        }
        members.voters.retain(|member| member.disk != disk);
        Some(members)
    }

    /// The members with a learner made voter, if it has caught up.
    fn with_voter(&self, cx: &Cx<'_>, disk: DiskId) -> Option<Membership> {
        let mut members = self.log.membership().clone();
        let learner = *members.learners.iter().find(|member| member.disk == disk)?;
        let leading = self.leading()?;
        let matched = leading.others.get(&disk)?.matched.get();
        let heard = leading.rounds.answered(disk)?;
        let is_late = matched.saturating_add(CLOSE) < self.log.last().index.get();
        if matched == 0 || is_late || cx.now().since(heard) > self.config.silence {
            return None;
        }
        members.learners.retain(|member| member.disk != disk);
        members.voters.push(learner).ok()?;
        Some(members)
    }
}
