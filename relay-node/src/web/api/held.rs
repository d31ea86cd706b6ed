//! Profiles, timelines and threads, as far as this relay holds them. Nothing is fetched from other relays for a
//! request.

use axum::Json;
use axum::extract::{FromRequestParts, Path, Query as Parameters, State};
use axum::http::request::Parts;
use data_encoding::BASE64URL_NOPAD;
use engine::api::{
    Beside, Cursor, Error, FeedView, Page, PostView, ProfileView, Query, QueryResult, ReplyView, ThreadView,
    Timeline,
};
use protocol::{AccountId, EntryRef};
use serde::{Deserialize, Serialize};

use super::Api;
use crate::web::error::WebError;

/// Posts in a page, when the request does not say.
const LIMIT_DEFAULT: u32 = 30;
/// Posts in a page at most, as in the engine.
const LIMIT_MAX: u32 = 100;
/// Longest cursor in bytes. The engine's have about eighty.
const CURSOR_BYTES_MAX: usize = 256;

/// What `/api/profile/ACCOUNT` answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// The account, in text form.
    pub account: String,
    /// Display name; empty if unknown. Not unique, and written by its owner, as all text here.
    pub name: String,
    pub bio: String,
    /// Its name in the registry; empty if there is none that is proven.
    pub handle: String,
    /// Entries held, of all devices.
    pub entries: u64,
    /// Posts among them.
    pub posts: u64,
    /// One of its feeds contradicts itself and is frozen.
    pub forked: bool,
    /// The feeds of its devices, the last written first.
    pub feeds: Vec<Feed>,
}

/// The feed of one device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Feed {
    /// The device, in text form.
    pub device: String,
    /// What its owner calls it.
    pub name: String,
    /// Entries held.
    pub entries: u64,
    /// Posts among them.
    pub posts: u64,
    /// When the newest was signed, in milliseconds since 1970, by its author's clock.
    pub signed_at_ms: u64,
}

/// What `/api/timeline/…` answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Posts {
    /// Newest first.
    pub posts: Vec<Post>,
    /// The parameter `cursor` of the next page; `null`: this was the last.
    pub next: Option<String>,
}

/// What `/api/thread/ACCOUNT/ENTRY` answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Thread {
    pub post: Post,
    /// From the beginning of the thread down to the post that this one answers, 50 at most; posts not held are left
    /// out.
    pub ancestors: Vec<Post>,
    /// Answers to the post and to its answers, oldest first; 200 at most.
    pub replies: Vec<Post>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Post {
    /// Its permanent id.
    #[serde(flatten)]
    pub id: Reference,
    /// The device that wrote it.
    pub device: String,
    /// Its number in that device's feed.
    pub seq: u64,
    /// The author's display name; empty if unknown.
    pub name: String,
    /// The author's name in the registry; empty if there is none that is proven.
    pub handle: String,
    pub text: String,
    /// When it was written, in milliseconds since 1970, by its author's clock.
    pub written_at_ms: u64,
    pub reply_to: Option<ReplyTo>,
    /// What other entries say about it.
    #[serde(flatten)]
    pub beside: Beside,
}

/// The id of a post.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reference {
    /// Its author's account.
    pub account: String,
    pub entry: String,
}

/// What a post answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplyTo {
    /// The post that began the thread.
    pub root: Reference,
    /// The post answered.
    pub parent: Reference,
}

impl From<EntryRef> for Reference {
    fn from(entry: EntryRef) -> Self {
        Self {
            account: entry.account.to_string(),
            entry: entry.id.to_string(),
        }
    }
}

impl From<ReplyView> for ReplyTo {
    fn from(view: ReplyView) -> Self {
        Self {
            root: view.root.into(),
            parent: view.parent.into(),
        }
    }
}

impl From<PostView> for Post {
    fn from(view: PostView) -> Self {
        Self {
            id: view.entry.into(),
            device: view.device.to_string(),
            seq: view.seq,
            name: view.name,
            handle: view.handle,
            text: view.text,
            written_at_ms: view.timestamp.0,
            reply_to: view.reply.map(Into::into),
            beside: view.beside,
        }
    }
}

impl From<FeedView> for Feed {
    fn from(view: FeedView) -> Self {
        Self {
            device: view.device.to_string(),
            name: view.name,
            entries: view.entries,
            posts: view.posts,
            signed_at_ms: view.signed_at.0,
        }
    }
}

impl From<ProfileView> for Profile {
    fn from(view: ProfileView) -> Self {
        Self {
            account: view.account.to_string(),
            posts: view.posts(),
            name: view.name,
            bio: view.bio,
            handle: view.handle,
            entries: view.entries,
            forked: view.forked,
            feeds: view.feeds.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<Page> for Posts {
    fn from(page: Page) -> Self {
        Self {
            posts: posts(page.posts),
            next: page.next.map(|Cursor(place)| BASE64URL_NOPAD.encode(&place)),
        }
    }
}

fn posts(views: Vec<PostView>) -> Vec<Post> {
    views.into_iter().map(Post::from).collect()
}

/// The part of a timeline that is requested.
#[derive(Debug, Deserialize)]
pub(super) struct PageParameters {
    limit: Option<String>,
    cursor: Option<String>,
}

impl PageParameters {
    fn limit(&self) -> Result<u32, WebError> {
        let Some(text) = &self.limit else {
            return Ok(LIMIT_DEFAULT);
        };
        let limit = text.parse().ok();
        limit
            .filter(|limit| (1..=LIMIT_MAX).contains(limit))
            .ok_or(WebError::BadRequest("limit is a number from 1 to 100"))
    }

    fn after(&self) -> Result<Option<Cursor>, WebError> {
        let Some(text) = &self.cursor else { return Ok(None) };
        let place = BASE64URL_NOPAD.decode(text.as_bytes()).ok();
        place
            .filter(|place| !place.is_empty() && place.len() <= CURSOR_BYTES_MAX)
            .map(|place| Some(Cursor(place)))
            .ok_or(NOT_A_CURSOR)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for PageParameters {
    type Rejection = WebError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, WebError> {
        // Texts alone: it fails if one is there twice, or is no text.
        let parameters = Parameters::try_from_uri(&parts.uri);
        let Parameters(parameters) = parameters.map_err(|_| {
            WebError::BadRequest("after the question mark there may be one limit and one cursor")
        })?;
        Ok(parameters)
    }
}

const NOT_A_CURSOR: WebError = WebError::BadRequest("that is not the cursor of a page of this timeline");
const NOTHING_HELD: WebError = WebError::NotFound("this relay holds nothing of this account");

pub(super) async fn profile(
    State(api): State<Api>,
    Path(account): Path<String>,
) -> Result<Json<Profile>, WebError> {
    let view = held_profile(&api, super::account(&account)?).await?;
    Ok(Json(view.into()))
}

async fn held_profile(api: &Api, account: AccountId) -> Result<ProfileView, WebError> {
    match api.query(Query::Profile { account }).await? {
        QueryResult::Profile(view) if view.entries == 0 => Err(NOTHING_HELD),
        QueryResult::Profile(view) => Ok(view),
        _ => Err(WebError::Unexpected),
    }
}

pub(super) async fn public_timeline(
    State(api): State<Api>,
    parameters: PageParameters,
) -> Result<Json<Posts>, WebError> {
    Ok(Json(page(&api, Timeline::Public, &parameters).await?))
}

pub(super) async fn account_timeline(
    State(api): State<Api>,
    Path(account): Path<String>,
    parameters: PageParameters,
) -> Result<Json<Posts>, WebError> {
    let account = super::account(&account)?;
    let page = page(&api, Timeline::User(account), &parameters).await?;
    if page.posts.is_empty() && page.next.is_none() {
        // The account has no posts, or is unknown to this relay.
        held_profile(&api, account).await?;
    }
    Ok(Json(page))
}

async fn page(api: &Api, timeline: Timeline, parameters: &PageParameters) -> Result<Posts, WebError> {
    let (limit, after) = (parameters.limit()?, parameters.after()?);
    let query = Query::Timeline {
        timeline,
        after,
        limit,
    };
    match api.query(query).await {
        Ok(QueryResult::Page(page)) => Ok(page.into()),
        Err(WebError::Refused(Error::NotFound)) => Err(NOT_A_CURSOR),
        Err(error) => Err(error),
        Ok(_) => Err(WebError::Unexpected),
    }
}

pub(super) async fn thread(
    State(api): State<Api>,
    Path((account, entry)): Path<(String, String)>,
) -> Result<Json<Thread>, WebError> {
    let post = EntryRef {
        account: super::account(&account)?,
        id: entry
            .parse()
            .map_err(|_| WebError::BadRequest("that is not the id of an entry"))?,
    };
    match api.query(Query::Thread { post }).await? {
        QueryResult::Thread(view) => thread_of(view, post).map(Json),
        _ => Err(WebError::Unexpected),
    }
}

fn thread_of(view: ThreadView, asked: EntryRef) -> Result<Thread, WebError> {
    // An address with another account would be a second one of the same post.
    let post = view.post.filter(|post| post.entry == asked);
    Ok(Thread {
        post: post
            .map(Into::into)
            .ok_or(WebError::NotFound("this relay does not hold this post"))?,
        ancestors: posts(view.ancestors),
        replies: posts(view.replies),
    })
}

#[cfg(test)]
mod tests {
    use super::{BASE64URL_NOPAD, CURSOR_BYTES_MAX, Cursor, PageParameters, Posts, WebError};
    use axum::extract::FromRequestParts as _;
    use axum::http::Request;
    use engine::api::Page;

    fn parameters(limit: Option<&str>, cursor: Option<&str>) -> PageParameters {
        PageParameters {
            limit: limit.map(str::to_owned),
            cursor: cursor.map(str::to_owned),
        }
    }

    #[test]
    fn limits_are_checked() {
        for (limit, expected) in [
            (None, Some(30)),
            (Some("1"), Some(1)),
            (Some("100"), Some(100)),
            (Some("0"), None),
            (Some("101"), None),
            (Some("-1"), None),
            (Some("abc"), None),
            (Some(""), None),
        ] {
            assert_eq!(parameters(limit, None).limit().ok(), expected, "{limit:?}");
        }
    }

    #[tokio::test]
    async fn what_cannot_be_read_is_refused_in_plain_words() {
        let read = async |query: &str| {
            let request = Request::get(format!("/?{query}")).body(()).unwrap();
            PageParameters::from_request_parts(&mut request.into_parts().0, &()).await
        };
        assert_eq!(read("limit=7&other=1").await.unwrap().limit().unwrap(), 7);
        assert_eq!(
            read("limit=abc").await.unwrap().limit().unwrap_err().to_string(),
            "limit is a number from 1 to 100"
        );
        for query in ["limit=1&limit=2", "cursor=a&cursor=b"] {
            let refused = read(query).await;
            assert!(
                matches!(refused, Err(WebError::BadRequest(_))),
                "{query}: {refused:?}"
            );
        }
    }

    #[test]
    fn a_cursor_comes_back_as_it_was_given_and_nothing_else_is_one() {
        let page = Page {
            posts: Vec::new(),
            next: Some(Cursor(vec![0, 255, 7])),
        };
        let next = Posts::from(page).next.unwrap();
        let back = parameters(None, Some(&next)).after().unwrap();
        assert_eq!(back, Some(Cursor(vec![0, 255, 7])));
        assert_eq!(parameters(None, None).after().unwrap(), None);
        let long = BASE64URL_NOPAD.encode(&[1; CURSOR_BYTES_MAX + 1]);
        for wrong in ["", "=", "a/b", "????", &long] {
            let refused = parameters(None, Some(wrong)).after();
            assert!(matches!(refused, Err(WebError::BadRequest(_))), "{wrong}");
        }
    }
}
