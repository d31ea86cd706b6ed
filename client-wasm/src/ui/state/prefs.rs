//! The few things the interface itself remembers: theme, drafts, posts the engine has not taken yet, the reader's
//! place. Nothing here matters to anybody else, and losing it loses no post the engine accepted.

use protocol::EntryRef;
use protocol::entry::ReplyTo;
use web_sys::Storage;

use crate::ui::route::{entry_from_text, entry_to_text};

const THEME: &str = "starling.theme";
const DRAFT: &str = "starling.draft.";
const PLACE: &str = "starling.place.";
const UNSENT: &str = "starling.unsent";
const ACTIVITY: &str = "starling.activity";
/// Posts kept for sending again; more are refused in the composer.
pub const UNSENT_MAX: usize = 50;

fn local() -> Option<Storage> {
    web_sys::window()?.local_storage().ok()?
}

fn session() -> Option<Storage> {
    web_sys::window()?.session_storage().ok()?
}

fn put(storage: Option<Storage>, key: &str, value: &str) {
    let Some(storage) = storage else { return };
    // A full or forbidden storage costs convenience, never a post: ignored on purpose.
    let _ = if value.is_empty() {
        storage.remove_item(key)
    } else {
        storage.set_item(key, value)
    };
}

fn get(storage: Option<Storage>, key: &str) -> Option<String> {
    storage?.get_item(key).ok()?
}

/// How the app looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Theme {
    /// As the system says.
    #[default]
    System,
    /// Always light.
    Light,
    /// Always dark.
    Dark,
}

impl Theme {
    /// All, in the order they are offered.
    pub const ALL: [Self; 3] = [Self::System, Self::Light, Self::Dark];

    fn key(self) -> &'static str {
        match self {
            Self::System => "",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }

    /// The remembered choice.
    pub fn load() -> Self {
        match get(local(), THEME).as_deref() {
            Some("light") => Self::Light,
            Some("dark") => Self::Dark,
            _ => Self::System,
        }
    }

    /// Remembers the choice and applies it at once.
    pub fn apply(self) {
        put(local(), THEME, self.key());
        let Some(root) = crate::ui::dom::document().document_element() else {
            return;
        };
        // Setting a plain attribute on the root element cannot fail.
        let _ = if self == Self::System {
            root.remove_attribute("data-theme")
        } else {
            root.set_attribute("data-theme", self.key())
        };
    }
}

/// The unfinished text under this key.
pub fn draft(key: &str) -> String {
    get(local(), &format!("{DRAFT}{key}")).unwrap_or_default()
}

/// Remembers an unfinished text; an empty one is forgotten.
pub fn set_draft(key: &str, text: &str) {
    put(local(), &format!("{DRAFT}{key}"), text);
}

/// A reader's place: the post at the top of the screen and how far it is from the edge, in pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Place {
    /// The post.
    pub post: EntryRef,
    /// Its distance from the top of the screen.
    pub offset_px: i32,
}

/// Where the reader left a list. `lasting` places outlive the tab.
pub fn place(list: &str, lasting: bool) -> Option<Place> {
    let text = get(
        if lasting { local() } else { session() },
        &format!("{PLACE}{list}"),
    )?;
    let (post, offset) = text.split_once(' ')?;
    Some(Place {
        post: entry_from_text(post)?,
        offset_px: offset.parse().ok()?,
    })
}

/// Remembers where the reader is in a list.
pub fn set_place(list: &str, lasting: bool, place: Option<Place>) {
    let text = place.map_or_else(String::new, |place| {
        format!("{} {}", entry_to_text(&place.post), place.offset_px)
    });
    put(
        if lasting { local() } else { session() },
        &format!("{PLACE}{list}"),
        &text,
    );
}

/// Whether answers came that were not looked at yet.
pub fn activity_waiting() -> bool {
    get(local(), ACTIVITY).is_some()
}

/// Remembers whether answers wait to be looked at.
pub fn set_activity_waiting(waiting: bool) {
    put(local(), ACTIVITY, if waiting { "1" } else { "" });
}

/// A post on its way to the engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsent {
    /// Makes sending it twice the same as sending it once.
    pub token: [u8; 16],
    /// The text.
    pub text: String,
    /// What it answers.
    pub reply_to: Option<ReplyTo>,
    /// The link name wished for; empty: none.
    pub slug: String,
}

/// Posts the engine had not taken when the page was last open.
pub fn unsent() -> Vec<Unsent> {
    let stored = get(local(), UNSENT).unwrap_or_default();
    stored
        .split('\u{1e}')
        .filter_map(unsent_from)
        .take(UNSENT_MAX)
        .collect()
}

/// Remembers the posts the engine has not taken yet.
pub fn set_unsent<'a>(posts: impl Iterator<Item = &'a Unsent>) {
    let text: Vec<String> = posts
        .map(|post| {
            let token: String = post.token.iter().map(|byte| format!("{byte:02x}")).collect();
            let reply = post.reply_to.as_ref().map_or_else(String::new, |to| {
                format!("{} {}", entry_to_text(&to.root), entry_to_text(&to.parent))
            });
            format!("{token}\u{1f}{reply}\u{1f}{}\u{1f}{}", post.slug, post.text)
        })
        .collect();
    put(local(), UNSENT, &text.join("\u{1e}"));
}

fn unsent_from(record: &str) -> Option<Unsent> {
    let mut parts = record.splitn(4, '\u{1f}');
    let (token_text, reply, slug, text) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let mut token = [0; 16];
    for (index, byte) in token.iter_mut().enumerate() {
        *byte = u8::from_str_radix(token_text.get(index * 2..index * 2 + 2)?, 16).ok()?;
    }
    Some(Unsent {
        token,
        text: text.to_owned(),
        slug: slug.to_owned(),
        reply_to: if reply.is_empty() {
            None
        } else {
            let (root, parent) = reply.split_once(' ')?;
            Some(ReplyTo {
                root: entry_from_text(root)?,
                parent: entry_from_text(parent)?,
            })
        },
    })
}
