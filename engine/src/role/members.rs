//! Membership of relays in a network: what concerns the directory and links beside the role.

use protocol::PeerId;

use crate::ctx::Ctx;
use crate::io::MembershipInput;
use crate::parts::Parts;

use super::Role;

impl Role {
    /// Which relays are members changed; these are members no more.
    pub(crate) fn on_members(&mut self, ctx: &mut Ctx, parts: &mut Parts, gone: &[PeerId]) {
        match self {
            Self::Person(_) => {}
            #[cfg(feature = "relay")]
            Self::Relay(relay) => {
                for peer in gone {
                    parts.net.on_member_gone(ctx, peer);
                }
                parts.directory.set_members(ctx, relay.listed());
            }
        }
    }

    pub(crate) fn on_membership(&mut self, ctx: &mut Ctx, parts: &Parts, input: MembershipInput) {
        match self {
            Self::Person(_) => {}
            #[cfg(feature = "relay")]
            Self::Relay(relay) => match input {
                MembershipInput::Named { peer } => relay.on_named_to_join(ctx, &parts.net, peer),
                MembershipInput::Join { peer, secret } => relay.join(ctx, &parts.net, peer, secret),
                MembershipInput::Invitation { link, valid } => {
                    relay.on_invitation(ctx, &parts.net, link, valid);
                }
            },
        }
    }
}
