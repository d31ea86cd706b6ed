//! Relays that this device counts on and that are no members of the network any more.
//!
//! Their receipts count for nothing, they are not known, and other relays are chosen in their place. The address book
//! remembers that they are no members, and shows them, until the person removes them ([`Command::ForgetRelay`]).
//!
//! Invariant: what a relay that is no member says of others counts for nothing.
//!
//! [`Command::ForgetRelay`]: crate::api::Command::ForgetRelay

use ordered::Set;
use protocol::PeerId;
use protocol::messages::membership::MemberList as Members;
use protocol::messages::receipt::Reason;

use crate::ctx::Ctx;
use crate::io::LinkId;
use crate::log::Log;
use crate::net::Net;
use crate::relays::directory::Directory;
use crate::relays::member_lists::MemberList;

use super::Person;
use super::confirmations::report_not_kept;

impl Person {
    /// A neighbour says which relays are members of its network.
    pub(crate) fn on_members(
        ctx: &mut Ctx,
        net: &mut Net,
        log: &mut Log,
        directory: &mut Directory,
        link: LinkId,
        list: &Members,
    ) {
        let Some(by) = net.session(link).map(|session| session.peer) else {
            return;
        };
        if !net.known.contains(&by) {
            return;
        }
        let members = list.relays.clone();
        let others = || net.known.chosen().filter(|chosen| *chosen != by);
        let is_younger = others().any(|chosen| net.known.was_chosen_before(&chosen, &by));
        let list = MemberList {
            named: net.known.is_named(&by),
            foreign: is_younger && !others().any(|chosen| members.contains(&chosen)),
            members,
        };
        directory.set_list(by, list);
        Self::check_members(ctx, net, log, directory);
    }

    /// Takes the relays that are no members out of what this device counts on, and those that are members again into it;
    /// also once a second, since it matters who is alive.
    pub(crate) fn check_members(ctx: &mut Ctx, net: &mut Net, log: &mut Log, directory: &mut Directory) {
        let mut relays: Set<PeerId> = log.holders.relays();
        relays.extend(net.known.all());
        log.retain_no_members(ctx, &relays);
        for relay in relays {
            let Some(is_member) = directory.judge(&relay, net.known.is_named(&relay)) else {
                continue;
            };
            let is_news = net.set_member(ctx, relay, is_member);
            let changed = log.set_member(ctx, relay, is_member);
            for device in &changed {
                Self::report_durability(ctx, net, log, directory, *device, 0);
            }
            if is_member {
                if is_news {
                    net.learn(ctx, relay, true);
                }
                continue;
            }
            directory.distrust_list(&relay);
            if is_news && net.known.is_chosen(&relay) == Some(true) {
                net.dismiss(ctx, relay);
            }
            if is_news || !changed.is_empty() {
                report_not_kept(ctx, net, directory, relay, Reason::NO_MEMBER);
            }
        }
        directory.drop_no_members(|peer| net.known.is_named(peer));
    }

    /// The person removes a relay that is no member any more. `false`: there is no such relay.
    pub(super) fn forget_relay(ctx: &mut Ctx, net: &mut Net, relay: &PeerId) -> bool {
        let is_known = net.known.contains(relay) || net.known.is_chosen(relay).is_none();
        if !is_known {
            net.forget_relay(ctx, relay);
        }
        !is_known
    }
}

#[cfg(test)]
#[path = "standing_tests.rs"]
mod tests;
