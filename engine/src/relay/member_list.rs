//! The list of members that linked devices are sent: all of it when a device links, and again when it changes.

use ordered::Set;
use protocol::messages::Message;
use protocol::messages::membership::MemberList;
use protocol::{PeerId, limits};

use crate::api::RelayState;
use crate::ctx::Ctx;
use crate::io::LinkId;
use crate::net::Net;
use crate::relays::directory::Directory;

use super::Relay;

impl Relay {
    /// The members, for devices. Without this relay if it was expelled, and without those whose address another member
    /// took over: a relay that lost its data comes back with another key. `None`: any relay may be a member, or there
    /// are too many.
    fn list_for_devices(&self, directory: &Directory) -> Option<Vec<PeerId>> {
        if self.members.is_open() || self.members.all().len() > limits::MEMBERS_PER_MESSAGE_MAX {
            return None;
        }
        let is_alive = |relay: &PeerId| self.state_of(directory, relay) == Some(RelayState::Alive);
        let is_dead = |relay: &PeerId| {
            let state = self.state_of(directory, relay);
            matches!(state, Some(RelayState::Dead | RelayState::Left))
        };
        let living = directory.descriptions().filter(|other| is_alive(&other.relay));
        let taken: Set<&str> = living.map(|other| other.url.as_str()).collect();
        let is_replaced = |relay: &PeerId| {
            let url = directory.url_of(relay);
            is_dead(relay) && url.is_some_and(|url| taken.contains(url.as_str()))
        };
        let expelled = self.members.expelled_by().is_some();
        let members = self.members.all().iter().copied();
        let listed = members.filter(|relay| !(is_replaced(relay) || (expelled && *relay == self.own)));
        Some(listed.collect())
    }

    /// Sends linked devices the list of members if it changed.
    pub(crate) fn send_members(&mut self, ctx: &mut Ctx, net: &Net, directory: &Directory) {
        let list = self.list_for_devices(directory);
        if list == self.sent_members {
            return;
        }
        for link in net.links_whose(|session| session.neighbour && !session.relay) {
            send(ctx, link, list.as_ref());
        }
        self.sent_members = list;
    }

    /// A device became a neighbour.
    pub(super) fn send_members_to(&self, ctx: &mut Ctx, directory: &Directory, link: LinkId) {
        send(ctx, link, self.list_for_devices(directory).as_ref());
    }
}

fn send(ctx: &mut Ctx, link: LinkId, list: Option<&Vec<PeerId>>) {
    if let Some(relays) = list {
        let relays = relays.clone();
        ctx.send(link, &Message::Members(MemberList { relays }));
    }
}

#[cfg(test)]
#[path = "member_list_tests.rs"]
mod tests;
