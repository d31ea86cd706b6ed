//! Which post a slug leads to: as the feeds held here say, or else as the network may.

use protocol::names::NameAnswer;

use crate::api::{Query, QueryResult, Response};
use crate::kinds::{Reading, Step, ViewContext};
use crate::store::Rows;

use super::{Slugs, rows};

/// How far the lookup is.
#[derive(Clone, Copy, Debug)]
enum Stage {
    /// Finds the post that the slug leads to.
    Find,
    /// Checks that the post's author claims the slug.
    Confirm,
}

#[derive(Debug)]
struct Lookup {
    slug: String,
    stage: Stage,
}

/// `slug`: slashes around it and capitals do not matter.
pub(super) fn begin(slug: &str, context: &ViewContext<'_>) -> Step {
    let slug = slug.trim_matches('/').to_ascii_lowercase();
    match context.registry.id() {
        Some(registry) => {
            let read = rows::latest_of(registry, &slug);
            let stage = Stage::Find;
            Step::Read(vec![read], Box::new(Lookup { slug, stage }))
        }
        None => Step::Unknown(Query::Slug { slug }),
    }
}

impl Reading for Lookup {
    fn on_rows(mut self: Box<Self>, rows: Rows, context: &ViewContext<'_>) -> Step {
        let rows = rows.into_iter().next().unwrap_or_default();
        match self.stage {
            Stage::Find => {
                if let Some(post) = rows.first().and_then(rows::post_of) {
                    self.stage = Stage::Confirm;
                    return Step::Read(vec![Slugs::read(&post)], self);
                }
            }
            Stage::Confirm => {
                let receipt = Slugs::proven(&rows, context.registry);
                if let Some(receipt) = receipt.filter(|receipt| receipt.name == self.slug) {
                    let reply = QueryResult::Name(NameAnswer::Held(receipt));
                    return Step::Response(Response::Result(Box::new(reply)));
                }
            }
        }
        Step::Unknown(Query::Slug { slug: self.slug })
    }
}
