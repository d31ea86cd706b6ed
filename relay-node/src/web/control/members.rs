//! The members of the network, as `/admin/control/members` lists them, and what an operator should know about them.

use std::fmt::Write as _;

use engine::api;
use protocol::PeerId;
use serde::{Deserialize, Serialize};

use crate::text::{counted, plain};
use crate::web::api::state_name;

/// The members of a network, as `/admin/control/members` lists them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct MemberList {
    /// Every relay that describes itself is a member.
    pub open: bool,
    /// The settings list the members.
    pub listed: bool,
    pub members: Vec<NetworkMember>,
    /// The keys of linked relays that wait for an invitation by this one.
    pub asking: Vec<String>,
    /// `false`: no member of the network that this relay joined invites it.
    pub invited: bool,
    /// The key of the relay that expelled this one.
    pub expelled_by: Option<String>,
    /// The keys of relays that refused this relay's invitation.
    pub refused: Vec<String>,
}

/// A member of the network.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct NetworkMember {
    /// Its key.
    pub peer: String,
    /// Where it says it is; empty: unknown.
    pub url: String,
    /// `alive`, `suspect`, `dead` or `left`.
    pub state: String,
    /// It is the one that answers.
    pub this: bool,
    /// The key of the member that invited it.
    pub invited_by: Option<String>,
    /// The keys of the members that go with it if it is expelled.
    pub goes: Vec<String>,
    /// Whether all members accept that this relay expels it.
    pub expels_everywhere: bool,
    /// Of the accounts held by the relay that answers, how many it keeps as one of their replicas.
    pub accounts: u64,
}

impl From<api::MembersView> for MemberList {
    fn from(view: api::MembersView) -> Self {
        let keys = |peers: Vec<PeerId>| peers.iter().map(ToString::to_string).collect();
        let member = |member: api::MemberView| NetworkMember {
            peer: member.relay.to_string(),
            url: member.url,
            state: state_name(member.state).to_owned(),
            this: member.this,
            invited_by: member.invited_by.map(|by| by.to_string()),
            goes: keys(member.goes),
            expels_everywhere: member.expels_everywhere,
            accounts: member.accounts,
        };
        Self {
            open: view.open,
            listed: view.listed,
            members: view.members.into_iter().map(member).collect(),
            asking: keys(view.asking),
            invited: view.invited,
            expelled_by: view.expelled_by.map(|by| by.to_string()),
            refused: keys(view.refused),
        }
    }
}

/// The address of a member, or its key if it has none.
pub(crate) fn name(members: &MemberList, key: &str) -> String {
    let member = members.members.iter().find(|member| member.peer == key);
    let url = member
        .map(|member| plain(&member.url))
        .filter(|url| !url.is_empty());
    url.unwrap_or_else(|| key.to_owned())
}

/// What an operator should know about the network beside its members and those that wait.
pub(crate) fn notes(members: &MemberList) -> Vec<String> {
    let mut notes = Vec::new();
    if members.open {
        notes.push(
            "This relay runs with --open: every relay that keeps a link with one of the network and describes itself is given \
             feeds to keep, and its receipts count. The list above shows only this relay; `relay-node status` shows the others."
                .to_owned(),
        );
    }
    if members.listed {
        notes.push("The members are those that --allow-relay lists.".to_owned());
    }
    if let Some(by) = &members.expelled_by {
        notes.push(format!(
            "The relay {} expelled this one: the others do not treat it as a member and give it no feeds to keep. Ask its operator for \
             an invitation.",
            name(members, by)
        ));
    } else if !members.invited && members.refused.is_empty() {
        notes.push(
            "No member of the network invites this relay: the others do not treat it as a member and give it no feeds to keep. Ask an \
             operator to run `relay-node adopt` at a relay that this one joins, or for an invitation."
                .to_owned(),
        );
    }
    for by in &members.refused {
        notes.push(format!(
            "The relay {} refused this relay's invitation: it was used, or it has expired. Ask its operator for another.",
            name(members, by)
        ));
    }
    notes
}

/// What expelling a member does.
pub(crate) fn effects(members: &MemberList, member: &NetworkMember) -> String {
    let mut text = format!(
        "{} is no member any more once it is expelled: it keeps no feeds for this network, and its receipts count no longer. Apps that chose it before go on until they choose another.\n",
        name(members, &member.peer)
    );
    let accounts = counted(member.accounts, "account", "accounts");
    let _ = writeln!(
        text,
        "- It keeps the feeds of {accounts} that are held here, too. Other members take its place and copy what they lack; until \
         then there is one copy less of each. What it alone holds cannot be seen from here: `relay-node drain` there, before \
         this, hands it over."
    );
    if !member.goes.is_empty() {
        let goes: Vec<String> = member.goes.iter().map(|key| name(members, key)).collect();
        let _ = writeln!(
            text,
            "- No other member vouches for {}, which {} with it. To keep one, run `relay-node adopt KEY` first.",
            goes.join(", "),
            if goes.len() == 1 { "goes" } else { "go" }
        );
    }
    if !member.expels_everywhere {
        text += "- It did not join the network through this relay, so this counts here alone: run it at the relay that it joined \
                 through, or at each relay.\n";
    }
    text
}

/// MemberList of an invented network.
#[cfg(test)]
pub(crate) mod testing {
    use super::{MemberList, NetworkMember};

    fn member(n: u8, url: &str) -> NetworkMember {
        NetworkMember {
            peer: format!("key{n}"),
            url: url.to_owned(),
            state: "alive".to_owned(),
            this: n == 0,
            invited_by: (n > 0).then(|| "key0".to_owned()),
            goes: Vec::new(),
            expels_everywhere: true,
            accounts: 7,
        }
    }

    pub(crate) fn members() -> MemberList {
        MemberList {
            open: false,
            listed: false,
            members: vec![
                member(0, "https://a.example"),
                member(1, "https://b\u{1b}.example"),
                member(2, ""),
            ],
            asking: Vec::new(),
            invited: true,
            expelled_by: None,
            refused: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::effects;
    use super::testing::members;

    #[test]
    fn what_expelling_does_is_said_first() {
        let members = members();
        let mut expelled = members.members[1].clone();
        let text = effects(&members, &expelled);
        assert!(
            text.contains("7 accounts") && !text.contains("here alone"),
            "{text}"
        );
        expelled.goes.push("key2".to_owned());
        expelled.expels_everywhere = false;
        let text = effects(&members, &expelled);
        assert!(
            text.contains("vouches for key2, which goes with it") && text.contains("here alone"),
            "{text}"
        );
    }
}
