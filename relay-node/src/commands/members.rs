//! Who belongs to the network: `relay-node invite`, `members`, `adopt` and `expel`. All but `invite` have the running
//! relay do it.

use std::fmt::Write as _;
use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use anyhow::{Context as _, bail, ensure};
use native::network::RelayUrl;
use protocol::PeerId;
use protocol::messages::membership::Invitation;

use super::status::{agent, counted, plain, table};
use crate::config::Settings;
use crate::identity;
use crate::invitations;
use crate::web::Problem;
use crate::web::control::{self, Members, NetworkMember};

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
    fn members(&self, about: Option<&str>) -> anyhow::Result<Members> {
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

fn name(members: &Members, key: &str) -> String {
    let member = members.members.iter().find(|member| member.peer == key);
    let url = member
        .map(|member| plain(&member.url))
        .filter(|url| !url.is_empty());
    url.unwrap_or_else(|| key.to_owned())
}

fn text(members: &Members) -> String {
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

/// What an operator should know about the network beside its members and those that wait.
pub(crate) fn notes(members: &Members) -> Vec<String> {
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
            "The relay {} expelled this one: the others treat it as a guest and give it no feeds to keep. Ask its operator for \
             an invitation.",
            name(members, by)
        ));
    } else if !members.invited && members.refused.is_empty() {
        notes.push(
            "No member of the network invites this relay: the others treat it as a guest and give it no feeds to keep. Ask an \
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

fn ensure_by_invitation(members: &Members) -> anyhow::Result<()> {
    ensure!(
        !members.open && !members.listed,
        "the members of this network follow from its settings (--open or --allow-relay), not from invitations"
    );
    Ok(())
}

/// What expelling a member does.
pub(crate) fn effects(members: &Members, member: &NetworkMember) -> String {
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
    use super::{effects, text};
    use crate::web::control::{Members, NetworkMember};

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

    fn members() -> Members {
        Members {
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

    #[test]
    fn the_list_says_who_invited_whom_and_what_to_do() {
        let text_of = |change: fn(&mut Members)| {
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
        assert!(text_of(|members| members.invited = false).contains("guest"));
        assert!(
            text_of(|members| members.refused.push("key0".to_owned())).contains("https://a.example refused")
        );
        assert!(
            text_of(|members| members.expelled_by = Some("key0".to_owned())).contains("expelled this one")
        );
        assert!(text_of(|members| members.open = true).contains("--open"));
    }

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
