//! Passing on receipts of other relays. What this relay signs itself, [`crate::sync`] sends.

use protocol::PeerId;
use protocol::messages::Message;
use protocol::messages::receipt::Receipt;

use crate::ctx::Ctx;
use crate::io::LinkId;
use crate::log::Log;
use crate::net::Net;

/// Passes a receipt on to authors that are linked, and back along the way the entries took.
pub(crate) fn pass_on(ctx: &mut Ctx, net: &Net, log: &Log, from: PeerId, receipt: &Receipt) {
    let Some(feed) = log.feeds.get(&receipt.device) else {
        return;
    };
    // To another relay only the receipt of the neighbour that signed it is passed on: relays are linked with each
    // other, so once is enough, and it cannot circulate.
    let source = feed.source.filter(|_| receipt.relay == from);
    let other = |link: &LinkId| net.session(*link).is_some_and(|session| session.peer != from);
    let source = source.filter(other);
    let authors = net.links_whose(|session| session.account == Some(feed.account));
    for link in authors.into_iter().chain(source) {
        ctx.send(link, &Message::Receipt(receipt.clone()));
    }
}

#[cfg(test)]
#[path = "receipts_tests.rs"]
mod tests;
