//! A long list of posts of which only the part near the screen exists in the page.
//!
//! Posts are kept in chunks. A chunk that was drawn once has a measured height and is replaced by empty space of that
//! height when it leaves the neighbourhood of the screen; one never drawn has a guessed height. New posts do not enter
//! the list: they are held back and counted until the reader asks for them.
//!
//! Invariant: a post is in the list at most once, and nothing held back is in the list.

use std::ops::Range;
use std::rc::Rc;

use engine::api::{Cursor, Page, PostView};
use ordered::Set;
use protocol::{AccountId, EntryRef};

/// Posts drawn or hidden together. Small enough that drawing one is no pause, large enough that there are few.
const CHUNK_POSTS: usize = 12;
/// A guess for posts not measured yet, in pixels.
const POST_HEIGHT_GUESS_PX: f64 = 136.0;
/// New posts counted one by one; beyond that the pill says "+".
pub const HELD_MAX: usize = 200;

/// Posts that are drawn or hidden together.
#[derive(Debug, Default)]
pub struct Chunk {
    /// Names the chunk while it lives.
    pub number: u64,
    /// Newest first.
    pub posts: Vec<Rc<PostView>>,
    height_px: Option<f64>,
}

impl Chunk {
    fn height(&self, guess_px: f64) -> f64 {
        self.height_px.unwrap_or(guess_px * self.posts.len() as f64)
    }
}

/// How far the list was read from the engine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ReadUpTo {
    /// Not at all yet.
    #[default]
    Nothing,
    /// There is more, from here on.
    More(Cursor),
    End,
}

/// The posts of a timeline that were read so far, and which of them are shown.
#[derive(Debug, Default)]
pub struct FeedModel {
    chunks: Vec<Chunk>,
    known: Set<EntryRef>,
    held: Set<EntryRef>,
    next_chunk: u64,
    /// How far it was read.
    pub reach: ReadUpTo,
    /// The engine held back even more than it told.
    pub held_more: bool,
    /// A page is being read.
    pub loading: bool,
}

impl FeedModel {
    /// Whether it has no posts.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// How many posts it has.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// New posts held back.
    pub fn held(&self) -> usize {
        self.held.len()
    }

    /// All chunks, newest first.
    pub fn chunks(&self) -> &[Chunk] {
        &self.chunks
    }

    /// How many posts come before this one.
    pub fn position(&self, post: &EntryRef) -> Option<usize> {
        self.chunks
            .iter()
            .flat_map(|chunk| &chunk.posts)
            .position(|candidate| candidate.entry == *post)
    }

    /// Takes the next page, older than everything here.
    pub fn append(&mut self, page: Page) {
        for post in page.posts {
            if !self.known.insert(post.entry) {
                continue;
            }
            self.held.remove(&post.entry);
            let full = self
                .chunks
                .last()
                .is_none_or(|chunk| chunk.posts.len() >= CHUNK_POSTS);
            if full {
                self.push_chunk(self.chunks.len());
            }
            if let Some(chunk) = self.chunks.last_mut() {
                chunk.posts.push(Rc::new(post));
                chunk.height_px = None;
            }
        }
        self.reach = page.next.map_or(ReadUpTo::End, ReadUpTo::More);
    }

    /// Puts a post on top. Whether that began a new chunk, so that all others moved on by one.
    pub fn prepend(&mut self, post: PostView) -> bool {
        self.held.remove(&post.entry);
        if !self.known.insert(post.entry) {
            return false;
        }
        let full = self
            .chunks
            .first()
            .is_none_or(|chunk| chunk.posts.len() >= CHUNK_POSTS);
        if full {
            self.push_chunk(0);
        }
        if let Some(chunk) = self.chunks.first_mut() {
            chunk.posts.insert(0, Rc::new(post));
            chunk.height_px = None;
        }
        full
    }

    /// Holds a new post back. Whether that is news.
    pub fn hold(&mut self, post: EntryRef) -> bool {
        if self.known.contains(&post) {
            return false;
        }
        if self.held.len() >= HELD_MAX {
            let news = !self.held_more;
            self.held_more = true;
            return news;
        }
        self.held.insert(post)
    }

    /// Changes one post, if it is here.
    pub fn update(&mut self, post: &EntryRef, change: impl FnOnce(&mut PostView)) -> bool {
        if !self.known.contains(post) {
            return false;
        }
        let found = self
            .chunks
            .iter_mut()
            .flat_map(|chunk| &mut chunk.posts)
            .find(|candidate| candidate.entry == *post);
        match found {
            Some(found) => {
                change(Rc::make_mut(found));
                true
            }
            None => false,
        }
    }

    /// A person is called something else now.
    pub fn rename(&mut self, account: AccountId, name: &str) -> bool {
        let mut changed = false;
        for post in self.chunks.iter_mut().flat_map(|chunk| &mut chunk.posts) {
            if post.entry.account == account && post.name != name {
                name.clone_into(&mut Rc::make_mut(post).name);
                changed = true;
            }
        }
        changed
    }

    /// The chunks to draw for a screen that begins `top_px` below the beginning of the list, with a screenful of
    /// reserve on either side.
    pub fn window(&self, top_px: f64, screen_px: f64) -> Range<usize> {
        let guess_px = self.guess_px();
        let (from_px, to_px) = (top_px - screen_px, top_px + 2.0 * screen_px);
        let mut y = 0.0;
        let mut first = None;
        let mut end = 0;
        for (index, chunk) in self.chunks.iter().enumerate() {
            let below = y + chunk.height(guess_px);
            if below >= from_px && y <= to_px {
                first.get_or_insert(index);
                end = index + 1;
            }
            y = below;
        }
        match first {
            Some(first) => first..end,
            // The screen is beyond the list: its nearest end.
            None if top_px <= 0.0 => 0..self.chunks.len().min(1),
            None => self.chunks.len().saturating_sub(1)..self.chunks.len(),
        }
    }

    /// The window around a post, for a list that is opened there.
    pub fn window_around(&self, position: usize) -> Range<usize> {
        let mut before = 0;
        for (index, chunk) in self.chunks.iter().enumerate() {
            before += chunk.posts.len();
            if position < before {
                return index.saturating_sub(1)..(index + 2).min(self.chunks.len());
            }
        }
        0..self.chunks.len().min(2)
    }

    /// The height of a run of chunks, in pixels.
    pub fn height(&self, chunks: Range<usize>) -> f64 {
        let guess_px = self.guess_px();
        self.chunks
            .get(chunks)
            .unwrap_or_default()
            .iter()
            .map(|chunk| chunk.height(guess_px))
            .sum()
    }

    /// A chunk was drawn and is this high.
    pub fn measured(&mut self, number: u64, height_px: f64) {
        if let Some(chunk) = self.chunks.iter_mut().find(|chunk| chunk.number == number) {
            chunk.height_px = Some(height_px);
        }
    }

    /// The column has another width now: no measured height holds any more.
    pub fn forget_heights(&mut self) {
        for chunk in &mut self.chunks {
            chunk.height_px = None;
        }
    }

    fn push_chunk(&mut self, index: usize) {
        let number = self.next_chunk;
        self.next_chunk += 1;
        self.chunks.insert(
            index,
            Chunk {
                number,
                ..Chunk::default()
            },
        );
    }

    fn guess_px(&self) -> f64 {
        let (mut height, mut posts) = (0.0, 0_usize);
        for chunk in &self.chunks {
            if let Some(measured) = chunk.height_px {
                height += measured;
                posts += chunk.posts.len();
            }
        }
        if posts == 0 {
            POST_HEIGHT_GUESS_PX
        } else {
            height / posts as f64
        }
    }
}

#[cfg(test)]
mod tests {
    use protocol::{EntryId, Timestamp};

    use super::*;

    fn post(number: u32) -> PostView {
        let mut id = [0; 32];
        id[..4].copy_from_slice(&number.to_be_bytes());
        PostView {
            entry: EntryRef {
                account: AccountId([1; 32]),
                id: EntryId(id),
            },
            seq: u64::from(number),
            name: "Ada".to_owned(),
            text: number.to_string(),
            timestamp: Timestamp(u64::from(number)),
            in_home: true,
            ..PostView::default()
        }
    }

    fn page(posts: Range<u32>) -> Page {
        Page {
            posts: posts.map(post).collect(),
            next: Some(Cursor(vec![1])),
        }
    }

    #[test]
    fn a_post_is_in_the_list_at_most_once() {
        let mut feed = FeedModel::default();
        feed.append(page(0..40));
        feed.append(page(30..50));
        feed.prepend(post(3));
        assert_eq!(feed.len(), 50);
        assert!(!feed.hold(post(3).entry));
        assert!(feed.hold(post(99).entry));
        assert_eq!(feed.held(), 1);
        feed.append(page(99..100));
        assert_eq!(feed.held(), 0);
    }

    #[test]
    fn only_the_neighbourhood_of_the_screen_is_drawn() {
        let mut feed = FeedModel::default();
        for start in (0..100_000).step_by(100) {
            feed.append(page(start..start + 100));
        }
        let all = feed.height(0..feed.chunks().len());
        let window = feed.window(all / 2.0, 800.0);
        assert!(window.len() <= 4, "{window:?}");
        let above = feed.height(0..window.start);
        assert!(above <= all / 2.0 && above >= all / 2.0 - 2.0 * 800.0 - 2_000.0);
        assert_eq!(feed.window(-500.0, 800.0).start, 0);
        assert!(feed.window(all + 10_000.0, 800.0).end == feed.chunks().len());
    }

    #[test]
    fn a_measured_height_replaces_the_guess() {
        let mut feed = FeedModel::default();
        feed.append(page(0..24));
        feed.measured(0, 1_000.0);
        assert!((feed.height(0..1) - 1_000.0).abs() < f64::EPSILON);
        // What was measured is the best guess for the rest.
        assert!((feed.height(1..2) - 1_000.0).abs() < 1.0);
        feed.forget_heights();
        assert!((feed.height(0..1) - 12.0 * POST_HEIGHT_GUESS_PX).abs() < 1.0);
    }

    #[test]
    fn what_is_held_back_is_bounded() {
        let mut feed = FeedModel::default();
        for number in 0..1_000 {
            feed.hold(post(number).entry);
        }
        assert_eq!(feed.held(), HELD_MAX);
        assert!(feed.held_more);
    }
}
