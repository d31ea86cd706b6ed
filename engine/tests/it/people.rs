//! What people do in a simulated network.

use protocol::AccountId;
use rand_core::Rng;
use starling_engine::Config;
use starling_engine::api::{Command, CommandResult, Page, PostView, Query, QueryResult, Response, Timeline};

use crate::network::Network;

impl Network {
    pub(crate) fn person(&mut self, name: &str) -> usize {
        self.person_with(Config::browser(), name)
    }

    pub(crate) fn person_with(&mut self, config: Config, name: &str) -> usize {
        let peer = self.add(config);
        let command = Command::CreateAccount {
            name: name.into(),
            device_name: "test".into(),
        };
        assert!(matches!(
            self.command(peer, command),
            Response::Done(CommandResult::Account(_))
        ));
        peer
    }

    pub(crate) fn account(&mut self, peer: usize) -> protocol::AccountId {
        match self.query(peer, Query::Me) {
            QueryResult::Me(Some(me)) => me.account,
            other => panic!("no account: {other:?}"),
        }
    }

    pub(crate) fn post(&mut self, peer: usize, text: &str) -> PostView {
        let mut token = [0; 16];
        self.rng.fill_bytes(&mut token);
        match self.command(
            peer,
            Command::Publish {
                token,
                text: text.into(),
                reply_to: None,
                slug: None,
            },
        ) {
            Response::Done(CommandResult::Published(post)) => *post,
            other => panic!("not published: {other:?} (seed {})", self.seed),
        }
    }

    pub(crate) fn follow_account(&mut self, follower: usize, account: AccountId) {
        let answer = self.command(follower, Command::Follow { account });
        assert_eq!(answer, Response::Done(CommandResult::Ok), "seed {}", self.seed);
    }

    pub(crate) fn follow(&mut self, follower: usize, followed: usize) {
        let account = self.account(followed);
        assert_eq!(
            self.command(follower, Command::Follow { account }),
            Response::Done(CommandResult::Ok)
        );
    }

    pub(crate) fn page(&mut self, peer: usize, timeline: Timeline) -> Vec<PostView> {
        let mut posts = Vec::new();
        let mut after = None;
        loop {
            let query = Query::Timeline {
                timeline,
                after: after.take(),
                limit: 50,
            };
            let QueryResult::Page(Page { posts: page, next }) = self.query(peer, query) else {
                panic!("not a page")
            };
            posts.extend(page);
            match next {
                Some(next) => after = Some(next),
                None => return posts,
            }
        }
    }

    pub(crate) fn texts(&mut self, peer: usize, timeline: Timeline) -> Vec<String> {
        self.page(peer, timeline)
            .into_iter()
            .map(|post| post.text)
            .collect()
    }
}
