//! Who belongs to the network: `relay-node invite`, `members`, `adopt` and `expel`. All but `invite` have the running
//! relay do it.

use std::fmt::Write as _;
use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use anyhow::{Context as _, bail, ensure};
use native::network::RelayUrl;
use protocol::PeerId;
use protocol::messages::membership::Invitation;

use super::status::agent;
use crate::config::Settings;
use crate::identity;
use crate::invitations;
use crate::text::{plain, table};
use crate::web::Problem;
use crate::web::control;
use crate::web::control::members::{MemberList, NetworkMember, effects, name, notes};

/// Prints an invitation to the network of the relay with these settings.
///
/// # Errors
/// If the relay was never started, needs no invitations, or its folder cannot be written.
pub fn invite(settings: &Settings, here: &RelayUrl, short: bool) -> anyhow::Result<String> {
    ensure!(
        settings.allow_relay.is_empty(),
        "this relay has --allow-relay, which lists the members: add the new relay's key there, on each relay"
    );
    ensure!(
        !settings.open,
        "this relay runs with --open, so every relay that joins is a member: an invitation is not needed"
    );
    let folder = &settings.data_dir;
    let key = identity::load(folder)?.with_context(|| {
        format!(
            "no relay was started with the data folder {} so far; start it first, or name another with --data-dir",
            folder.display()
        )
    })?;
    let secret = invitations::issue(folder).with_context(|| {
        format!(
            "cannot make an invitation in the data folder {}; run this as the relay's user",
            folder.display()
        )
    })?;
    let by = PeerId(key.public());
    let invitation = Invitation { by, secret };
    let url = settings.advertise.as_ref().unwrap_or(here);
    if short {
        return Ok(format!("{url}#{invitation}\n"));
    }
    let mut text = invitation_text(url, &invitation);
    if settings.advertise.is_none() {
        text += "\nThis relay has no --advertise: if the new relay runs on another machine, put the address at which it reaches \
                 this one in place of ";
        text += &format!("{url}.\n");
    }
    Ok(text)
}

fn invitation_text(url: &RelayUrl, invitation: &Invitation) -> String {
    let hours = invitations::VALID_FOR.as_secs() / 3_600;
    format!(
        "Start the new relay with\n\n  relay-node --join '{url}#{invitation}'\n\nThe invitation makes one relay a member of this \
         network. It works once and within {hours} hours; keep it secret until then.\n"
    )
}

/// The running relay of these settings.
struct Running {
    url: RelayUrl,
    token: String,
}

impl Running {
    fn find(settings: &Settings, url: &RelayUrl) -> anyhow::Result<Self> {
        let folder = &settings.data_dir;
        ensure!(
            native::data_dir::holder(folder).is_some(),
            "no relay runs with the data folder {}; start it first, or name another with --data-dir",
            folder.display()
        );
        let token = control::token(folder).with_context(|| {
            format!(
                "cannot read the running relay's token in {}; run this as the relay's user",
                folder.display()
            )
        })?;
        let url = url.clone();
        Ok(Self { url, token })
    }

    fn bearer(&self) -> String {
        format!("Bearer {}", self.token)
    }

    /// `about`: the key of a member of which is asked what expelling it would do.
    fn members(&self, about: Option<&str>) -> anyhow::Result<MemberList> {
        let about = about.map_or_else(String::new, |key| format!("?about={key}"));
        let asked = agent()
            .get(format!("{}/admin/control/members{about}", self.url))
            .header("authorization", self.bearer())
            .call();
        let mut answer = asked.with_context(|| format!("the relay does not answer at {}", self.url))?;
        if !answer.status().is_success() {
            bail!(Problem::detail_of(&answer.body_mut().read_to_string()?));
        }
        Ok(answer.body_mut().read_json()?)
    }

    fn post(&self, path: &str, key: &str) -> anyhow::Result<()> {
        let asked = agent()
            .post(format!("{}{path}", self.url))
            .header("authorization", self.bearer())
            .send(key);
        let mut answer = asked.with_context(|| format!("the relay does not answer at {}", self.url))?;
        if !answer.status().is_success() {
            bail!(Problem::detail_of(&answer.body_mut().read_to_string()?));
        }
        Ok(())
    }
}

/// Prints the members of the network.
///
/// # Errors
/// If no relay runs with these settings.
pub fn list(settings: &Settings, url: &RelayUrl) -> anyhow::Result<String> {
    Ok(text(&Running::find(settings, url)?.members(None)?))
}

fn text(members: &MemberList) -> String {
    let mut text = String::new();
    let head = ["RELAY", "STATE", "INVITED BY", "KEY"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(members.members.iter().map(|member| {
        let this = if member.this { " (this)" } else { "" };
        let url = plain(&member.url);
        let by = member.invited_by.as_ref();
        vec![
            format!("{}{this}", if url.is_empty() { "–" } else { &url }),
            member.state.clone(),
            by.map_or_else(|| "–".to_owned(), |by| name(members, by)),
            member.peer.clone(),
        ]
    }));
    text += &table(&rows);
    for line in notes(members) {
        let _ = write!(text, "\n{line}\n");
    }
    if !members.asking.is_empty() {
        let _ = write!(
            text,
            "\nWaiting for an invitation by this relay: {}. `relay-node adopt` makes them members.\n",
            members.asking.join(", ")
        );
    }
    text
}

/// Makes relays members that joined this one without an invitation: those with these keys, or the only one that waits.
///
/// # Errors
/// If no relay runs with these settings, or none waits.
pub fn adopt(settings: &Settings, url: &RelayUrl, keys: &[PeerId], yes: bool) -> anyhow::Result<()> {
    let running = Running::find(settings, url)?;
    let members = running.members(None)?;
    ensure_by_invitation(&members)?;
    ensure!(
        !keys.is_empty() || members.asking.len() <= 1,
        "several relays wait; name the keys of yours, which each prints at /api/relay: {}",
        members.asking.join(", ")
    );
    let chosen: Vec<String> = match keys {
        [] => members.asking.clone(),
        keys => keys.iter().map(ToString::to_string).collect(),
    };
    ensure!(
        !chosen.is_empty(),
        "no relay waits for an invitation: those that run with --join and the address of this relay appear within seconds"
    );
    let mut out = io::stdout();
    writeln!(
        out,
        "These relays become members: they are given feeds to keep, and their receipts count.\n"
    )?;
    for key in &chosen {
        writeln!(out, "  {key}")?;
    }
    confirm(yes)?;
    for key in &chosen {
        running.post("/admin/control/invite", key)?;
    }
    writeln!(out, "Done. `relay-node members` lists them.")?;
    Ok(())
}

/// Withdraws the membership of the relay with this key or address, after it said what that does.
///
/// # Errors
/// If no relay runs with these settings, there is no such member, or the operator does not confirm.
pub fn expel(settings: &Settings, url: &RelayUrl, relay: &str, yes: bool) -> anyhow::Result<()> {
    let running = Running::find(settings, url)?;
    let members = running.members(None)?;
    ensure_by_invitation(&members)?;
    let is_it = |member: &&NetworkMember| member.peer == relay || member.url == relay.trim_end_matches('/');
    let member = members.members.iter().find(is_it).with_context(|| {
        format!("no member has the key or address {relay}; `relay-node members` lists them")
    })?;
    ensure!(
        !member.this,
        "this is the relay itself: `relay-node drain` makes it leave its network in order"
    );
    let key = member.peer.clone();
    let members = running.members(Some(&key))?;
    let member = members.members.iter().find(|member| member.peer == key);
    let member = member.context("it is no member any more")?;
    let mut out = io::stdout();
    write!(out, "{}", effects(&members, member))?;
    confirm(yes)?;
    running.post("/admin/control/expel", &member.peer)?;
    writeln!(
        out,
        "Expelled. `relay-node status` shows how the others take its share over."
    )?;
    Ok(())
}

fn ensure_by_invitation(members: &MemberList) -> anyhow::Result<()> {
    ensure!(
        !members.open && !members.listed,
        "the members of this network follow from its settings (--open or --allow-relay), not from invitations"
    );
    Ok(())
}

/// Asks on a terminal; elsewhere `--yes` is needed.
fn confirm(yes: bool) -> anyhow::Result<()> {
    if yes {
        return Ok(());
    }
    ensure!(
        io::stdin().is_terminal(),
        "nothing was changed: add --yes to confirm"
    );
    write!(io::stdout(), "\nGo on? [y/N] ")?;
    io::stdout().flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    ensure!(matches!(answer.trim(), "y" | "Y" | "yes"), "nothing was changed");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::text;
    use crate::web::control::members::MemberList;
    use crate::web::control::members::testing::members;

    #[test]
    fn the_list_says_who_invited_whom_and_what_to_do() {
        let text_of = |change: fn(&mut MemberList)| {
            let mut members = members();
            change(&mut members);
            text(&members)
        };
        let plain = text_of(|_| ());
        assert_eq!(
            plain,
            "RELAY                     STATE  INVITED BY         KEY\n\
             https://a.example (this)  alive  –                  key0\n\
             https://b .example        alive  https://a.example  key1\n\
             –                         alive  https://a.example  key2\n"
        );
        assert!(
            text_of(|members| members.asking.push("key9".to_owned())).contains("key9. `relay-node adopt`")
        );
        assert!(text_of(|members| members.invited = false).contains("do not treat it as a member"));
        assert!(
            text_of(|members| members.refused.push("key0".to_owned())).contains("https://a.example refused")
        );
        assert!(
            text_of(|members| members.expelled_by = Some("key0".to_owned())).contains("expelled this one")
        );
        assert!(text_of(|members| members.open = true).contains("--open"));
    }
}
